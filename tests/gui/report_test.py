#!/usr/bin/env python3
"""What the desktop app reports is what the command line says: the same JSON for the same scenario. And what both say of bad input."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

FATHOM, GUI = sys.argv.pop(), sys.argv.pop()  # the last word is fathom
EXAMPLES = sorted((pathlib.Path(__file__).resolve().parents[2] / "gui/models/examples").glob("*.toml"))


def run(*command, **environment):
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=100)


class Report(unittest.TestCase):
    def test_is_the_command_lines(self):
        self.assertEqual(len(EXAMPLES), 3)
        for scenario in EXAMPLES:
            with tempfile.TemporaryDirectory() as folder:
                file = f"{folder}/report.json"
                result = run(GUI, "--report", file, str(scenario), QT_QPA_PLATFORM="offscreen")
                self.assertEqual(result.returncode, 0, result.stderr)
                ours = json.loads(pathlib.Path(file).read_text())
            theirs = json.loads(run(FATHOM, "estimate", str(scenario), "--format", "json").stdout)
            for report in ours, theirs:
                for setting in report["scenario"]:
                    setting["origin"] = setting["origin"].replace(str(scenario), scenario.name)  # by name or by path
            self.assertEqual(ours, theirs, scenario.name)

    def test_without_a_display_it_says_so(self):
        result = run(GUI, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr, r"\Afathom-gui: there is no display .*\n\Z")

    def test_without_fonts_it_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder, "fonts.conf")
            config.write_text(f"<fontconfig><dir>{folder}</dir><cachedir>{folder}</cachedir></fontconfig>")
            result = run(GUI, "--report", f"{folder}/r.json", QT_QPA_PLATFORM="offscreen", FONTCONFIG_FILE=str(config))
        self.assertEqual(result.returncode, 2)
        self.assertIn("fathom-gui: no fonts are installed", result.stderr)

    def test_a_machine_that_is_not_known_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            scenario = pathlib.Path(folder, "s.toml")
            scenario.write_text('system = "h900_sxm"\n')
            result = run(GUI, "--report", f"{folder}/r.json", str(scenario), QT_QPA_PLATFORM="offscreen")
        self.assertEqual(result.returncode, 3)
        self.assertIn("system: there is no hardware profile 'h900_sxm' (did you mean 'h100_sxm'?)", result.stderr)

    def test_bad_options(self):
        for code, words, why in (
            (2, ["--theme", "pink"], "--theme: system, light or dark"),
            (2, ["--size", "3x"], "--size: WxH, at least 640x480"),
            (2, ["a.toml", "b.toml"], "one scenario at a time"),
            (4, ["--report", "/none/r.pdf"], "/none/r.pdf: cannot be saved"),
            (4, ["--report", "r.json", "/none/s.toml"], "/none/s.toml: "),
            (2, ["--report", "r.doc"], "r.doc: a report is .pdf"),
            (4, ["--screenshot", "/proc/none"], "/proc/none: cannot be made"),
        ):
            result = run(GUI, *words, QT_QPA_PLATFORM="offscreen")
            self.assertEqual(result.returncode, code, words)
            self.assertIn(f"fathom-gui: {why}", result.stderr)


if __name__ == "__main__":
    unittest.main()
