"""Bad input: exit codes, messages, and what is left behind."""
import json
import pathlib
import subprocess

from support.fathom import PROGRAM, Fathom, main


class Refusals(Fathom):
    def test_usage(self):
        cases = [
            (("estimat",), "'estimate'"),
            (("spec", "lst"), "'list'"),
            (("estimate", "--isll", "4k"), "'--isl'"),
            (("estimate", "--isl"), "--isl"),
            (("estimate", "--isl", "4q"), "'4q' is not a number"),
            (("estimate", "--isl", "1.5"), "whole"),
            (("estimate", "--isl", "-5"), "--isl: must"),
            (("estimate", "--kv-cache-dtype", "fp9"), "'fp8'"),
            (("estimate", "--model", "deepseek-v3.22"), "did you mean"),
            (("estimate", "--system", "h801_sxm"), "'h800_sxm'"),
            (("estimate", "--set", "isl"), "KEY=VALUE"),
            (("estimate", "--set", "isl=4"), "'workload.isl'"),
            (("estimate", "--explain", "sparse_mlb"), "'sparse_mla'"),
            (("graph", "--block", "nowhere"), "moe_layer"),
            (("estimate", "a.toml", "b.toml"), "b.toml"),
            (("estimate", "--isl", "200k"), "--isl: "),
            (("estimate", "--prefix", "4000"), "--prefix: "),
            (("estimate", "--nextn-accepted", "1"), "--nextn"),
            (("completion", "tcsh"), "fish"),
            (("spec", "show"), "missing"),
            (("estimate", "--tpot", "soon"), "'soon'"),
        ]
        for arguments, words in cases:
            with self.subTest(arguments):
                message = self.refused(2, *arguments)
                self.assertIn(words, message)
                self.assertTrue(message.startswith("fathom: "))

    def test_layouts_that_make_no_sense_say_why_in_one_sentence(self):
        for arguments, words in [(("--tp", "7"), "not divisible by tp"), (("--ep", "24"), "cannot be placed"), (("--tp", "32"), "block"),
                                 (("--ep", "32", "--total-gpus", "16"), "more than"), (("--ep", "8"), "exceed"), (("--batch", "100k"), "would fit")]:
            with self.subTest(arguments):
                text = " ".join(self.refused(1, "estimate", *arguments).split())
                self.assertTrue(text.startswith("does not fit: "))
                self.assertIn(words, text)
                self.assertFalse(json.loads(self.run_program("estimate", *arguments, "--format", "json").stdout)["feasible"])

    def test_limits(self):
        self.assertIn("over the limit", " ".join(self.refused(1, "estimate", "--tpot", "0.1ms").split()))
        self.ok("estimate", "--tpot", "60s", "--ttft", "3600000")

    def test_files(self):
        self.assertIn("absent.toml", self.refused(4, "estimate", "absent.toml"))
        self.write("bad.toml", "[workload]\nisl = = 5\n")
        self.assertRegex(self.refused(3, "estimate", "bad.toml"), r"bad\.toml:2:")
        self.write("odd.toml", "[workload]\nisl = 100\nosk = 3\ngpus = 3\n[layout]\nep = \"many\"\n")
        problems = self.refused(3, "estimate", "odd.toml")
        for words in ("odd.toml:3: workload.osk: ", "'osl'", "odd.toml:4: ", "odd.toml:6: layout.ep: must be a whole number"):
            self.assertIn(words, problems)
        self.refused(4, "config", "show", "-o", self.folder / "no" / "such" / "folder.toml")
        self.refused(4, "spec", "init", "-o", "/dev/full")

    def test_output_files_and_closed_pipes(self):
        self.assertEqual(self.ok("config", "show", "-o", "out.toml"), "")
        self.assertEqual((self.folder / "out.toml").read_text(), self.ok("config", "show"))
        self.ok("config", "show", "-o", "/dev/null")
        self.assertTrue(pathlib.Path("/dev/null").is_char_device())
        line = f"'{PROGRAM}' trace --all-layers | head -c 10"
        piped = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual((piped.returncode, piped.stderr), (0, ""))

    def test_colour_only_when_asked(self):
        self.assertIn("\x1b[1m", self.ok("estimate", "--color"))
        self.assertNotIn("\x1b", self.ok("estimate", "--color", "--no-color"))


if __name__ == "__main__":
    main()
