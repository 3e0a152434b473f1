"""Runs the program given as argument the way users do: in a folder of its own, without the settings of whoever runs the tests."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(sys.argv[1]).resolve()


class Fathom(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_program(self, *arguments, env=None, stdin=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("FATHOM_")}
        # Threads that wait spin by default, which takes the time of other tests that run at once.
        clean |= {"XDG_CONFIG_HOME": str(self.folder / "config"), "OMP_WAIT_POLICY": "passive", **(env or {})}
        return subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, env=clean, input=stdin, capture_output=True, text=True, timeout=60)

    def ok(self, *arguments, **more):
        result = self.run_program(*arguments, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def refused(self, code, *arguments, **more):
        result = self.run_program(*arguments, **more)
        self.assertEqual(result.returncode, code, f"{arguments}: {result.stdout}{result.stderr}")
        return result.stdout if code == 1 else result.stderr

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def setting(self, key, *arguments, **more):
        """Value and origin of a setting in force."""
        for line in self.ok("config", "show", "--origin", *arguments, **more).splitlines():
            found = re.fullmatch(re.escape(key) + r" = (.*?) +# (.*)", line)
            if found:
                return found.groups()
        return None


def main():
    unittest.main(argv=sys.argv[:1])
