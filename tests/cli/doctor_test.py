"""What the machine has and what is missing; on every machine and in every build, so that what is expected follows from what doctor says."""
import json
import pathlib

from support.fathom import Fathom, main

FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "v32-yarn-fp8-mtp"
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}  # hides GPUs where there are some


class Doctor(Fathom):
    def examined(self, env=None):
        """The exit code and what doctor says."""
        result = self.run_program("doctor", "--format", "json", env=env)
        self.assertEqual(result.stderr, "")
        return result.returncode, json.loads(result.stdout)

    def cuda_run(self, env=None):
        return self.run_program("run", "--model", FIXTURE, "--prompt-ids", "random:5", "--max-new-tokens", 2, "--ignore-eos", "--backend", "cuda", env=env)

    def built_with_cuda(self):
        return self.examined()[1]["machine"]["built_with_cuda"]

    def test_the_machine(self):
        code, document = self.examined()
        machine = document["machine"]
        self.assertIn(code, (0, 5))
        self.assertEqual(document["feasible"], code == 0)
        self.assertEqual(machine["version"], self.ok("--version").split()[1])
        self.assertGreater(machine["cpu_cores"], 0)
        self.assertGreater(machine["memory_available_GB"], 0)
        self.assertIn(machine["vector_units"], ("AVX-512", "AVX2", "baseline"))
        for row in document["missing"]:
            self.assertTrue(row["cause"] and row["remedy"], row)

    def test_openmp_threads_are_those_that_the_environment_allows(self):
        machine = self.examined({"OMP_NUM_THREADS": "3"})[1]["machine"]
        self.assertIn(machine["openmp_threads"], (3, None))

    def test_every_format(self):
        code, _ = self.examined()
        for name, word in (("table", "CPU cores"), ("csv", "cpu_cores,"), ("md", "| CPU cores |")):
            result = self.run_program("doctor", "--format", name)
            self.assertEqual((result.returncode, word in result.stdout), (code, True), result.stdout)
        self.assertEqual(self.run_program("doctor", "-o", "report.txt").returncode, code)
        self.assertIn("CPU cores", (self.folder / "report.txt").read_text())
        self.refused(2, "doctor", "extra")

    def test_a_build_without_cuda_says_so(self):
        if self.built_with_cuda():
            self.skipTest("this build has CUDA")
        code, document = self.examined()
        self.assertEqual((code, document["gpus"], document["machine"]["cuda_runtime"]), (0, [], None))
        self.assertTrue(any(row["cause"].startswith("CUDA: not built in") for row in document["missing"]))
        result = self.cuda_run()
        self.assertEqual((result.returncode, result.stderr.count("\n")), (5, 1), result.stderr)
        self.assertIn("not built into", result.stderr)

    def test_without_a_device_doctor_and_run_name_the_same_cause(self):
        if not self.built_with_cuda():
            self.skipTest("this build has no CUDA")
        code, document = self.examined(NO_GPU)
        self.assertEqual((code, document["gpus"]), (5, []))
        self.assertRegex(document["machine"]["cuda_runtime"], r"^\d+\.\d+$")
        cause = document["missing"][-1]["cause"]
        self.assertRegex(cause, "^CUDA (driver|device): ")
        result = self.cuda_run(NO_GPU)
        self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (5, "", 1), result.stderr)
        self.assertTrue(result.stderr.startswith(f"fathom: {cause}: "), result.stderr)

    def test_with_a_device(self):
        code, document = self.examined()
        if not document["gpus"]:
            self.skipTest("no GPU: " + document["missing"][-1]["cause"])
        gpu = document["gpus"][0]
        self.assertEqual(code == 0, gpu["kernels_run"])
        self.assertGreaterEqual(gpu["memory_GB"], gpu["free_GB"] or 0)
        self.assertEqual(self.cuda_run().returncode, code)


if __name__ == "__main__":
    main()
