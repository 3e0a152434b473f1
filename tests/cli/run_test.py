"""Running models: results, files, and what is refused. The models are tiny; what they compute is tested in tests/executor."""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import time

from support import tensors
from support.fathom import PROGRAM, Fathom, main

FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "v32-yarn-fp8-mtp"
SHARD = "model-00001-of-00002.safetensors"


class Running(Fathom):
    def result(self, *arguments, **more):
        return json.loads(self.ok("run", *arguments, **more))

    def ids(self, *arguments):
        return [prompt["ids"] for prompt in self.result(*arguments)["prompts"]]

    def checkpoint(self):
        """A copy of the fixture, to be spoiled."""
        return pathlib.Path(shutil.copytree(FIXTURE, self.folder / "model"))

    def tokenizer(self, folder):
        """A token for each byte, and no more."""
        visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
        hidden = [b for b in range(256) if b not in visible]
        characters = {b: chr(b) for b in visible} | {b: chr(256 + i) for i, b in enumerate(hidden)}
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        pieces = {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": False}
        (folder / "tokenizer.json").write_text(json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [pieces, byte_level]}, "post_processor": None, "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                      "byte_fallback": False, "vocab": {c: b for b, c in characters.items()}, "merges": []}}))


class Results(Running):
    def test_json_says_what_ran_and_what_came(self):
        self.write("ids.txt", "3 1 4\n1 5\n")
        document = self.result("--model", FIXTURE, "--prompt-ids", "ids.txt", "--prompt-ids", "random:70", "--max-new-tokens", 5, "--ignore-eos")
        run, (first, second) = document["run"], document["prompts"]
        self.assertEqual((run["layers"], run["layout"], run["numerics"], run["backend"]), (3, "tp1pp1dp1etp1ep1", "exact", "cpu"))
        self.assertEqual((first["source"], first["prompt_tokens"], len(first["ids"]), first["text"]), ("ids.txt", 5, 5, None))
        self.assertEqual((second["source"], second["prompt_tokens"], len(second["ids"])), ("random:70", 70, 5))
        self.assertEqual([s["phase"] for s in document["steps"]], ["prefill"] + 4 * ["decode"])
        self.assertGreater(run["weight_bytes_per_rank"], 4e6)
        for key in ("load_s", "run_s", "prefill_tokens_per_second", "decode_ms_per_step", "output_tokens_per_second"):
            self.assertGreater(run[key], 0, key)
        self.assertIn("ids only", document["notes"][0])

    def test_layouts_numerics_and_chunks_choose_the_same_tokens(self):
        prompt = ("--model", FIXTURE, "--prompt-ids", "random:90", "--prompt-ids", "random:33", "--max-new-tokens", 6, "--ignore-eos")
        expected = self.ids(*prompt)
        for more in (("--ep", 2), ("--pp", 3), ("--dp", 2, "--pp", 2), ("--chunked-prefill-size", 40), ("--nextn", 1), ("--max-sequences", 1),
                     ("--prefill-attention", "mqa"), ("--set", "policy.fused=false")):
            with self.subTest(more):
                self.assertEqual(self.ids(*prompt, *more), expected)
        self.assertGreater(self.result(*prompt, "--ep", 2)["run"]["sent_bytes"], 0)
        self.assertEqual(self.result(*prompt, "--numerics", "fp8")["run"]["numerics"], "fp8")

    def test_sampling_follows_its_seed(self):
        prompt = ("--model", FIXTURE, "--prompt-ids", "random:10", "--temperature", 1, "--ignore-eos", "--synthetic", 21)
        first = self.ids(*prompt, "--seed", 1)
        self.assertEqual(self.ids(*prompt, "--seed", 1), first)
        self.assertNotEqual(self.ids(*prompt, "--seed", 2), first)

    def test_a_model_cut_to_size(self):
        cut = self.result("--model", FIXTURE, "--synthetic", 5, "--layers", 2, "--experts", 8, "--prompt-ids", "random:10", "--max-new-tokens", 2)
        self.assertEqual((cut["run"]["layers"], cut["run"]["routed_experts"], cut["run"]["weights"]), (2, 8, "synthetic, seed 5"))
        self.assertEqual(self.result("--model", FIXTURE, "--layers", 1, "--prompt-ids", "random:10")["run"]["layers"], 1)

    def test_text_in_and_out_with_a_tokenizer(self):
        model = self.checkpoint()
        self.tokenizer(model)
        self.write("words.txt", "héllo")
        self.write("talk.json", '[{"role": "user", "content": "hi"}]')
        prompts = self.result("--model", model, "--prompt", "hello", "--prompt-file", "words.txt", "--messages", "talk.json", "--max-new-tokens", 3)["prompts"]
        self.assertEqual([p["prompt_tokens"] for p in prompts[:2]], [5, 6])
        self.assertGreater(prompts[2]["prompt_tokens"], 10)
        self.assertTrue(all(isinstance(p["text"], str) for p in prompts))

    def test_other_formats(self):
        run = ("run", "--model", FIXTURE, "--prompt-ids", "random:10", "--max-new-tokens", 3)
        text = self.ok(*run, "--format", "table", "--compare", "h200_sxm")
        self.assertTrue(text.startswith("ran: "))
        self.assertEqual([line for line in text.splitlines() if len(line) > 80], [])
        self.assertIn("source", self.ok(*run, "--format", "csv").splitlines()[0])
        self.assertEqual(self.ok(*run, "-o", "out.json"), "")
        self.assertEqual(json.loads((self.folder / "out.json").read_text())["schema_version"], 1)
        self.assertEqual(self.run_program(*run).stderr, "")


class Files(Running):
    def test_dump_agrees_with_the_reference_that_is_forced(self):
        expected = tensors.read(FIXTURE / "expected.safetensors")
        self.write("ids.txt", " ".join(map(str, expected["input_ids"])))
        self.ok("run", "--model", FIXTURE, "--prompt-ids", "ids.txt", "--force", FIXTURE / "expected.safetensors", "--dump", "got.safetensors",
                "--max-new-tokens", len(expected["decode_ids"]) + 1, "--ignore-eos", "--nextn", 1)
        got = tensors.read(self.folder / "got.safetensors")
        self.assertEqual(got["decode_ids"], expected["decode_ids"])
        for name in ("logits", "decode_logits", "layer.2.hidden", "layer.1.attn_out", "mtp.0.logits_from_normed_hidden"):
            self.assertLess(tensors.difference(got[name], expected[name]), 1e-5, name)

    def test_a_dump_forced_again_gives_the_same(self):
        run = ("run", "--model", FIXTURE, "--prompt-ids", "random:80", "--max-new-tokens", 6, "--ignore-eos")
        self.ok(*run, "--dump", "a.safetensors")
        self.ok(*run, "--dump", "b.safetensors", "--force", "a.safetensors", "--numerics", "exact")
        a, b = (tensors.read(self.folder / name) for name in ("a.safetensors", "b.safetensors"))
        self.assertEqual(a.keys(), b.keys())
        self.assertEqual(a["decode_ids"], b["decode_ids"])
        for name in ("logits", "decode_logits"):
            self.assertLess(tensors.difference(b[name], a[name]), 1e-6, name)
        self.ok(*run, "--dump", "last.safetensors", "--dump-rows", 3)
        self.assertEqual(tensors.read(self.folder / "last.safetensors")["logits.last3"], a["logits"][-3 * 256:])

    def test_trace_holds_every_step(self):
        document = self.result("--model", FIXTURE, "--prompt-ids", "random:10", "--max-new-tokens", 4, "--ignore-eos", "--pp", 2, "--trace", "t.json")
        events = json.loads((self.folder / "t.json").read_text())["traceEvents"]
        self.assertEqual({e["pid"] for e in events}, {0, 1})
        self.assertEqual(sum(e["name"] == "lm_head" for e in events), 4)
        end = max(e["ts"] + e["dur"] for e in events if e["ph"] == "X")
        self.assertLessEqual(end, 1.0001e3 * sum(s["ms"] for s in document["steps"]))

    def test_compare_puts_predicted_beside_measured(self):
        document = self.result("--model", FIXTURE, "--prompt-ids", "random:40", "--max-new-tokens", 3, "--ignore-eos", "--compare", "h200")
        for step in ("prefill", "decode"):
            *rows, between, whole = document["compared_" + step]
            self.assertEqual({r["runs"] for r in rows if r["operator"] == "o_proj"}, {3})
            for key in ("measured_ms", "predicted_ms"):
                self.assertAlmostEqual(sum(r[key] for r in rows) + (between[key] or 0), whole[key], places=6)
            self.assertGreater(min(r["predicted_ms"] for r in rows if r["operator"] == "lm_head"), 0)
        self.assertIn("CPU", document["notes"][-1])

    def test_a_synthetic_checkpoint_is_what_synthetic_runs_use(self):
        make = ("--model", FIXTURE, "--synthetic", 9, "--layers", 2)
        self.assertIn("tiny", self.run_program("checkpoint", "synth", *make, "--shard-GB", 0.001, "-o", "tiny").stderr)
        self.assertGreater(len(list((self.folder / "tiny").glob("*.safetensors"))), 2)
        self.assertTrue(self.ok("checkpoint", "inspect", "tiny").startswith("complete: "))
        self.write("ids.txt", "7 8 9")
        run = ("--prompt-ids", "ids.txt", "--max-new-tokens", 3, "--ignore-eos", "--nextn", 1, "--dump")
        self.ok("run", "--model", "tiny", *run, "a")
        self.ok("run", *make, *run, "b")
        self.assertEqual((self.folder / "a").read_bytes(), (self.folder / "b").read_bytes())
        self.assertIn("not an empty folder", self.refused(2, "checkpoint", "synth", *make, "-o", "tiny"))

    def test_inspect_lists_tensors_and_what_is_wrong(self):
        document = json.loads(self.ok("checkpoint", "inspect", FIXTURE, "--tensors", "--format", "json"))
        self.assertEqual((len(document["tensors"]), document["problems"]), (sum(p["tensors"] for p in document["parts"]), []))
        self.assertEqual({t["type"] for t in document["types"]}, {"BF16", "F32", "F8_E4M3"})
        model = self.checkpoint()
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4, "vocab_size": 128}))
        wrong = self.run_program("checkpoint", "inspect", model, "--format", "json")
        self.assertEqual(wrong.returncode, 3)
        problems = json.loads(wrong.stdout)["problems"]
        self.assertIn({"kind": "missing", "tensor": "model.layers.4.input_layernorm.weight"}, problems)
        self.assertTrue(any(p["kind"] == "mismatched" and p["tensor"].startswith("lm_head.weight: ") for p in problems))


class Refusals(Running):
    def refuse(self, code, words, *arguments):
        """One line, and no file."""
        outputs = ("-o", "out.json", "--dump", "out.safetensors", "--trace", "out.trace")
        result = self.run_program("run", *outputs, *arguments)
        message = result.stderr
        self.assertEqual((result.returncode, result.stdout, message.count("\n"), message.startswith("fathom: ")), (code, "", 1, True), message)
        for word in words:
            self.assertIn(word, message)
        self.assertEqual(list(self.folder.glob("out*")), [])

    def test_broken_checkpoints(self):
        def cut_short(path):
            path.write_bytes(path.read_bytes()[:-10])

        def change(key, find, value):
            def apply(path):
                header, data = tensors.split(path)
                name = next(n for n in sorted(header) if find(n, header[n]))
                header[name][key] = value(header[name][key])
                tensors.join(path, header, data)
            return apply

        def spoil_scale(path):
            header, data = tensors.split(path)
            at = next(t for n, t in sorted(header.items()) if n.endswith("weight_scale_inv"))["data_offsets"][0]
            tensors.join(path, header, data[:at] + struct.pack("<f", float("nan")) + data[at + 4:])

        def rename(path):
            header, data = tensors.split(path)
            name = next(n for n in sorted(header) if n.endswith("input_layernorm.weight"))
            header["model.unknown"] = header.pop(name)
            tensors.join(path, header, data)

        weight = lambda n, t: n.endswith("proj.weight")  # noqa: E731
        for name, spoil, words in [("truncated", cut_short, [SHARD]),
                                   ("shape", change("shape", weight, lambda s: [s[0] // 2, 2 * s[1]]), [SHARD, "proj.weight"]),
                                   ("dtype", change("dtype", weight, lambda t: "F8_E9M9"), [SHARD, "proj.weight", "F8_E9M9"]),
                                   ("scale", spoil_scale, [SHARD, "weight_scale_inv", "nan"]),
                                   ("name", rename, ["input_layernorm.weight"])]:
            with self.subTest(name):
                model = self.checkpoint()
                spoil(model / SHARD)
                self.refuse(3, words, "--model", model, "--prompt-ids", "random:5")
                shutil.rmtree(model)

    def test_prompts(self):
        model = ("--model", FIXTURE)
        for text, words in (("1 2 256", ["token 3", "256"]), ("1 -2", ["-2"]), ("1 2x", ["'2x'"]), ("", ["holds no token ids"])):
            with self.subTest(text):
                self.write("ids.txt", text)
                self.refuse(3, ["ids.txt", *words], *model, "--prompt-ids", "ids.txt")
        self.refuse(4, ["absent"], *model, "--prompt-ids", "absent")
        self.refuse(2, ["random:x"], *model, "--prompt-ids", "random:x")
        self.refuse(2, ["163840 positions"], *model, "--prompt-ids", "random:163830")
        self.refuse(2, ["no prompt"], *model)
        self.refuse(2, ["ids only", "tokenizer.json"], *model, "--prompt", "hello")

    def test_options(self):
        run = ("--prompt-ids", "random:5", "--model")
        self.refuse(2, ["--synthetic"], *run, "deepseek-v3.2")
        self.refuse(1, ["memory"], *run, "deepseek-v3.2", "--synthetic", 1, "--layers", 61, "--set", "model.n_routed_experts=4096")
        self.refuse(1, ["divisible"], *run, FIXTURE, "--tp", 3)
        self.refuse(1, ["one token a step"], *run, FIXTURE, "--nextn", 2)
        self.refuse(2, ["--experts"], *run, FIXTURE, "--experts", 4)
        self.refuse(2, ["groups"], *run, FIXTURE, "--experts", 6, "--synthetic", 1)
        self.refuse(2, ["layers: 9 of the 3"], *run, FIXTURE, "--layers", 9)
        self.refuse(2, ["--temperature", "'-1'"], *run, FIXTURE, "--temperature=-1")
        self.refuse(2, ["did you mean"], *run, FIXTURE, "--compare", "h200_sxn")
        self.refuse(5, ["cuda"], *run, FIXTURE, "--backend", "cuda")
        self.refuse(4, ["absent"], *run, FIXTURE, "--force", "absent")
        self.refuse(4, ["no/such"], *run, FIXTURE, "--trace", "no/such/folder")
        self.refuse(2, ["/dev/null"], *run, FIXTURE, "--dump", "/dev/null")
        self.assertTrue(pathlib.Path("/dev/null").is_char_device())

    def test_interrupted(self):
        run = [PROGRAM, "run", "--model", FIXTURE, "--prompt-ids", "random:5", "--max-new-tokens", "100000", "--ignore-eos", "-o", "out.json"]
        synth = [PROGRAM, "checkpoint", "synth", "--layers", "4", "--synthetic", "1", "--set", "model.vocab_size=1000", "-o", "big"]
        for command, begun in ((run, lambda: time.sleep(0.5)), (synth, lambda: self.wait_for("big.tmp/*"))):
            with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE) as process:
                begun()
                process.send_signal(signal.SIGINT)
                self.assertEqual((process.wait(timeout=30), process.stderr.read()), (130, b""))
        self.assertEqual(list(self.folder.iterdir()), [])

    def wait_for(self, pattern):
        for _ in range(300):
            if list(self.folder.glob(pattern)):
                return
            time.sleep(0.05)
        self.fail(f"no {pattern}")


class TwoPrograms(Running):
    def test_the_executor_is_beside_the_program_or_in_path(self):
        alone = pathlib.Path(shutil.copy(PROGRAM, self.folder / "fathom"))
        run = [alone, "run", "--model", FIXTURE, "--prompt-ids", "random:5"]
        missing = subprocess.run(run, env={"PATH": "/nowhere"}, capture_output=True, text=True)
        self.assertEqual(missing.returncode, 4)
        self.assertIn(f"neither in {self.folder.resolve()} nor in PATH", missing.stderr)
        found = subprocess.run(run, env={"PATH": f"/nowhere:{PROGRAM.parent}"}, capture_output=True, text=True)
        self.assertEqual((found.returncode, found.stderr), (0, ""))

    def test_help_and_usage_errors_need_no_executor(self):
        alone = pathlib.Path(shutil.copy(PROGRAM, self.folder / "fathom"))
        for arguments, code in ((("run", "--help"), 0), (("run", "--promt", "x"), 2), (("run", "--layers", "many"), 2), (("checkpoint", "inspct"), 2)):
            result = subprocess.run([alone, *arguments], env={"PATH": "/nowhere"}, capture_output=True, text=True)
            self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual([line for line in self.ok("run", "--help").splitlines() if len(line) > 80], [])

    def test_the_executor_by_itself(self):
        executor = PROGRAM.parent / "fathom-executor"
        result = subprocess.run([executor, "checkpoint", "inspect", FIXTURE], env=os.environ | {"NO_COLOR": "1"}, capture_output=True, text=True)
        self.assertEqual(result.stdout, self.ok("checkpoint", "inspect", FIXTURE))


if __name__ == "__main__":
    main()
