"""fathom bench: what it refuses before it looks for a GPU, and what it says where there is none. Nothing here times anything."""
import json

from support.fathom import Fathom, main

NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}  # hides GPUs where there are some
KINDS = ("embedding rms_norm layer_norm gemm batched_gemm quantise rope hadamard latent_cache_write latent_cache_read index_cache_write index_logits "
         "top_k dense_mha dense_mqa sparse_mla gate grouped_gemm swiglu permute unpermute add sample").split()


class Bench(Fathom):
    def test_help_lists_every_operator(self):
        text = self.ok("bench", "--help")
        for kind in KINDS:
            self.assertRegex(text, rf"\b{kind}\b")
        for flag in ("--grid KEY=V,V", "--numerics KIND", "--layers N", "--experts N", "--system NAME", "--format FORMAT", "--output FILE"):
            self.assertIn(flag, text)
        self.assertIn("bench", self.ok("--help"))
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines() if not line.startswith("  fathom")))

    def test_refusals(self):
        cases = [
            (("gem",), "'gemm'"),
            (("sparse",), "there is no operator 'sparse'"),
            (("all_reduce",), "all_reduce: exchanges between GPUs"),
            (("dispatch",), "exchanges between GPUs"),
            (("dense_mqa",), "no step of deepseek-v3.2 is a dense_mqa"),
            (("--grid", "sequences=0"), "--grid: sequences: 0"),
            (("--grid", "batch=1"), "'batch' is none of sequences, new, cached"),
            (("--grid", "cashed=4k"), "'cached'"),
            (("--grid", "new=1", "cached=4q"), "'4q'"),
            (("--grid", "new=1", "new=2"), "twice"),
            (("--grid", "cached=1M"), "positions"),
            (("--numerics", "exact"), "fp8, bf16"),
            (("--system", "h201_sxm"), "'h200_sxm'"),
            (("--layers", "62"), "61"),
            (("--experts", "0"), "--experts"),
            (("--set", "layout.tp=2"), "several GPUs"),
            (("--tp", "2"), "no flag --tp"),
            (("gate", "--layers", "3"), "no step of"),
            (("step", "gemm"), "bench step: a whole step, without gemm"),
            (("step", "--grid", "cached=0", "new=0"), "--grid: new: 0"),
            (("step",), "bench step: -o: only operators are measurements"),
            (("step", "--nextn", "3"), "drafts one token a step, not 3"),
        ]
        for arguments, words in cases:
            with self.subTest(arguments):
                message = self.refused(2, "bench", *arguments, "-o", "m.toml")
                self.assertIn(words, message)
                self.assertTrue(all(line.startswith("fathom: ") for line in message.splitlines()), message)
        self.assertEqual(list(self.folder.glob("m.toml*")), [])

    def test_where_the_file_cannot_be_written_nothing_is_timed(self):
        self.assertIn("nowhere", self.refused(4, "bench", "-o", "nowhere/m.toml", env=NO_GPU))

    def test_without_a_device(self):
        for arguments in ((), ("gemm", "--grid", "sequences=1,32", "new=1", "cached=4k"), ("dense_mqa", "--model", "deepseek-v3"), ("--numerics", "bf16")):
            result = self.run_program("bench", *arguments, "-o", "m.toml", env=NO_GPU)
            self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (5, "", 1), result.stderr)
            self.assertRegex(result.stderr, "^fathom: (CUDA (driver|device): |bench: not built)")
        self.assertEqual(list(self.folder.glob("m.toml*")), [])
        result = self.run_program("bench", "step", "--layers", "4", "cached=4k", env=NO_GPU)
        self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (5, "", 1), result.stderr)

    def test_with_a_device(self):
        if json.loads(self.run_program("doctor", "--format", "json").stdout)["feasible"] is False or not self.gpus():
            self.skipTest("no GPU")
        table = self.ok("bench", "add", "top_k", "--grid", "sequences=2", "-o", "m.toml")
        self.assertTrue(all(len(line) <= 80 for line in table.splitlines()), table)
        text = (self.folder / "m.toml").read_text()
        self.assertIn('op = "top_k"', text)
        self.assertIn("median_us = ", text)
        step = json.loads(self.ok("bench", "step", "--layers", "4", "--experts", "16", "cached=1Ki", "--detail", "--format", "json"))
        self.assertGreater(step["steps"][0]["median_ms"], step["steps"][0]["device_ms"])
        self.assertIn("compared_1 x 1 after 1024", step)

    def gpus(self):
        return json.loads(self.run_program("doctor", "--format", "json").stdout)["gpus"]


if __name__ == "__main__":
    main()
