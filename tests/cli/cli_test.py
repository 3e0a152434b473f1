"""Runs the program given as argument the way users do: exit codes, formats, precedence, bad input. No test depends on a predicted number."""
import csv
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
AIC_COLUMNS = "model,isl,osl,prefix,concurrency,request_rate,bs,global_bs,ttft,tpot,request_latency,seq/s,seq/s/gpu,tokens/s,tokens/s/gpu,tokens/s/user"


class Fathom(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_program(self, *arguments, env=None, stdin=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("FATHOM_")}
        clean |= {"XDG_CONFIG_HOME": str(self.folder / "config"), **(env or {})}
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


class Verbs(Fathom):
    REPORTS = [("estimate",), ("estimate", "--detail"), ("estimate", "--explain", "sparse_mla"), ("vram",), ("cost",), ("cost", "--curve"), ("spec", "list"),
               ("spec", "show", "deepseek-v3.2"), ("profiles", "list"), ("profiles", "show", "h800_sxm"), ("config", "show")]

    def test_every_report_in_every_format(self):
        for verb in self.REPORTS:
            with self.subTest(verb):
                document = json.loads(self.ok(*verb, "--format", "json"))
                self.assertEqual(document["schema_version"], 1)
                rows = list(csv.reader(io.StringIO(self.ok(*verb, "--format", "csv"))))
                self.assertGreater(len(rows), 1)
                self.assertEqual({len(r) for r in rows}, {len(rows[0])})
                self.assertNotIn("\x1b", self.ok(*verb, "--format", "md"))

    def test_tables_fit_80_columns_without_colour(self):
        for verb in self.REPORTS[:-1] + [("--help",), ("estimate", "--help"), ("vram", "--help"), ("spec", "--help"), ("config", "show", "--help")]:
            with self.subTest(verb):
                text = self.ok(*verb)
                self.assertNotIn("\x1b", text)
                self.assertEqual([line for line in text.splitlines() if len(line) > 80], [])

    def test_the_same_input_gives_the_same_bytes(self):
        for verb in self.REPORTS + [("graph",), ("trace",)]:
            self.assertEqual(self.ok(*verb), self.ok(*verb), verb)

    def test_the_answer_comes_first_and_names_what_is_output_and_input(self):
        text = self.ok("estimate")
        self.assertTrue(text.startswith("fits: deepseek-v3.2 on "))
        for words in ("input tokens/s/GPU", "output tokens/s/GPU", "per million output tokens", "per GPU-hour", "rests on rates that are", "not given, so default"):
            self.assertIn(words, " ".join(text.split()))

    def test_csv_begins_with_the_columns_of_aiconfigurator(self):
        lines = self.ok("estimate", "--format", "csv").splitlines()
        self.assertTrue(lines[0].startswith(AIC_COLUMNS))
        row = dict(zip(lines[0].split(","), next(csv.reader(lines[1:]))))
        self.assertEqual((row["isl"], row["osl"], row["moe_ep"], row["feasible"]), ("4000", "1000", "144", "true"))
        self.assertIn("usd_per_mtok_in_miss", row)

    def test_json_says_where_numbers_come_from(self):
        document = json.loads(self.ok("estimate", "--format", "json", "--detail"))
        self.assertGreater(document["request"]["ttft_ms"], 0)
        self.assertGreater(document["phases"]["prefill"]["input_tokens_per_second_per_gpu"], 0)
        self.assertIsNone(document["phases"]["prefill"]["output_tokens_per_second_per_gpu"])
        kinds = {"datasheet", "published", "calibrated", "transferred", "assumed"}
        self.assertTrue(all(step["rate_from"].rstrip("*") in kinds for step in document["decode_steps"]))
        self.assertAlmostEqual(sum(step["share_percent"] for step in document["decode_steps"]), 100)
        memory = document["memory_per_gpu"]["decode"]
        self.assertLessEqual(memory["needed_GB"], memory["limit_GB"])

    def test_explain_evaluates_to_what_it_says(self):
        document = json.loads(self.ok("estimate", "--format", "json", "--explain", "sparse_mla"))
        terms = [t for t in document["explain"] if not t["term"].startswith(("time_", "speed"))]
        self.assertGreater(len(terms), 3)
        for term in terms:
            formula = re.sub(r"ceil\(([^()]*)\)", r"-(-(\1)//1)", term["filled"])
            self.assertAlmostEqual(eval(formula, {"min": min, "max": max}) / term["value"], 1, 9, term["term"])

    def test_curve_stands_beside_what_was_published(self):
        document = json.loads(self.ok("cost", "--curve", "--format", "json"))
        self.assertEqual([p["position"] for p in document["prefill_curve"]][:4], [0, 2048, 4096, 4989])
        self.assertIsNotNone(document["decode_curve"][-1]["published_usd_per_mtok"])
        self.assertEqual(len([line for line in document["lines"] if line["phase"] == "decode"]), 3)

    def test_vram_lists_machines_or_one(self):
        everywhere = json.loads(self.ok("vram", "--isl", "32k", "--format", "json"))
        self.assertGreater(len(everywhere["systems"]), 5)
        one = json.loads(self.ok("vram", "--system", "h200", "--format", "json"))
        self.assertEqual([row["system"] for row in one["systems"]], ["h200_sxm"])
        fp8 = everywhere["systems"][0]["gpus"]
        int4 = json.loads(self.ok("vram", "--isl", "32k", "--weights", "int4", "--format", "json"))["systems"][0]["gpus"]
        self.assertLess(int4, fp8)

    def test_graph_and_trace(self):
        self.assertTrue(self.ok("graph").startswith("digraph"))
        self.assertIn("<graphml", self.ok("graph", "--block", "dense_layer", "--format", "graphml"))
        short, full = (json.loads(self.ok("trace", *more)) for more in ((), ("--all-layers",)))
        self.assertEqual(short["displayTimeUnit"], "ns")
        self.assertLess(len(short["traceEvents"]), len(full["traceEvents"]))
        self.assertEqual({e["ph"] for e in full["traceEvents"]}, {"X", "M"})
        end = [max(e["ts"] + e["dur"] for e in t["traceEvents"] if e["ph"] == "X") for t in (short, full)]
        self.assertAlmostEqual(end[0], end[1], delta=1e-3 * end[1])
        overlapped = json.loads(self.ok("trace", "--overlap", "two_batch"))
        self.assertEqual({e["args"]["micro_batch"] for e in overlapped["traceEvents"] if "operator" in e.get("args", {})}, {0, 1})
        self.assertEqual(len({e["pid"] for e in json.loads(self.ok("trace", "--pp", "2", "--ep", "64"))["traceEvents"]}), 2)

    def test_completion_is_a_script_that_knows_flags(self):
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("tensor-parallel-size", self.ok("completion", shell))
        checked = subprocess.run(["bash", "-n"], input=self.ok("completion", "bash"), text=True, capture_output=True)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_version_and_help(self):
        self.assertRegex(self.ok("--version"), r"^fathom \d+\.\d+\.\d+")
        self.assertTrue(self.ok("--help").startswith("fathom: "))
        self.assertTrue(self.ok("estimate", "--help").lstrip().startswith("fathom estimate\n"))
        self.assertEqual(self.ok("help", "vram"), self.ok("vram", "--help"))


class Specs(Fathom):
    def test_init_check_import_and_use(self):
        self.ok("spec", "init", "-o", "m.toml")
        self.assertIn("sound: my-model", self.ok("spec", "check", "m.toml"))
        self.assertIn("--force", self.refused(2, "spec", "init", "-o", "m.toml"))
        self.assertIn("my-model", self.ok("spec", "show", "./m.toml"))
        self.assertFalse((self.folder / "m.toml.tmp").exists())

    def test_check_reports_every_problem_with_its_place(self):
        text = self.ok("spec", "init").replace("num_attention_heads", "num_atention_heads").replace("n_group = 8 ", "n_group = 7 ")
        self.write("m.toml", text)
        problems = self.refused(3, "spec", "check", "m.toml")
        self.assertRegex(problems, r"m\.toml:\d+:\d+: num_atention_heads: .*'num_attention_heads'")
        self.assertRegex(problems, r"m\.toml:\d+:\d+: n_")

    def test_an_architecture_that_is_not_understood_is_refused_by_name(self):
        self.write("config.json", '{"model_type": "llama", "hidden_size": 4096}')
        self.assertIn("llama", self.refused(3, "spec", "import", "config.json"))

    def test_own_files_are_listed_with_their_origin(self):
        self.write("config/fathom/models/mine.toml", self.ok("spec", "init"))
        rows = list(csv.DictReader(io.StringIO(self.ok("spec", "list", "--format", "csv"))))
        self.assertIn(("my-model", str(self.folder / "config/fathom/models/mine.toml")), [(r["name"], r["origin"]) for r in rows])
        self.assertIn("sound: ", self.ok("spec", "check", "config/fathom/models/mine.toml"))


class Precedence(Fathom):
    def test_layers_from_built_in_to_flag(self):
        self.assertEqual(self.setting("workload.isl"), ("4000", "built in"))
        self.write("config/fathom/config.toml", "[workload]\nisl = 100\nosl = 100\n")
        self.assertEqual(self.setting("workload.isl"), ("100", f"{self.folder}/config/fathom/config.toml:2"))
        self.write("fathom.toml", "workload.isl = 200\n")
        self.assertEqual(self.setting("workload.isl"), ("200", "fathom.toml:1"))
        self.write("plan.toml", "\nworkload.isl = 300\n")
        self.assertEqual(self.setting("workload.isl", "plan.toml"), ("300", "plan.toml:2"))
        self.assertEqual(self.setting("workload.isl", "--config", "plan.toml"), ("300", "plan.toml:2"))
        environment = {"FATHOM_ISL": "4k"}
        self.assertEqual(self.setting("workload.isl", "plan.toml", env=environment), ("4000", "FATHOM_ISL"))
        self.assertEqual(self.setting("workload.isl", "plan.toml", "--input-len", "128Ki", env=environment), ("131072", "--isl"))
        self.assertEqual(self.setting("workload.osl", "plan.toml"), ("100", f"{self.folder}/config/fathom/config.toml:3"))

    def test_names_of_other_tools(self):
        same = {"layout.tp": ["--tp", "--tp-size", "--tensor-parallel-size"], "layout.ep": ["--ep", "--expert-parallel-size", "--moe-ep-size"]}
        for key, names in same.items():
            for name in names:
                self.assertEqual(self.setting(f"decode.{key}", name, "8")[0], "8", name)
        self.assertEqual(self.setting("gpu_mem_fraction", "--gpu-memory-utilization", "85%"), ("0.85", "--gpu-mem-fraction"))
        self.assertEqual(self.setting("decode.batch", "--max-num-seqs", "256")[0], "256")
        self.assertEqual(self.setting("prefill.policy.cache", "--kv-cache-dtype", "bfloat16")[0], '"bf16"')
        self.assertEqual(self.setting("decode.layout.etp", "--tp", "8"), ("8", "derived"))
        self.assertEqual(self.setting("decode.policy.overlap", "--enable-two-batch-overlap")[0], '"two_batch"')
        self.assertEqual(self.setting("prefill.layout.ep", "--ep", "8", "--decode-ep", "16")[0], "8")
        self.assertEqual(self.setting("model.storage.routed_experts", "--weights", "int4")[0], '"int4_group"')

    def test_set_takes_any_key(self):
        self.assertEqual(self.setting("model.index_topk", "--set", "model.index_topk=1Ki"), ("1024", "--set model.index_topk"))
        self.assertEqual(self.setting("system", "--set", "system=h200_sxm", "--set", "workload.osl=5")[0], '"h200_sxm"')
        self.assertEqual(self.setting("prefill.policy.fused", "--set", "policy.fused=false")[0], "false")

    def test_what_config_show_prints_is_a_scenario(self):
        self.ok("config", "show", "--ep", "64", "--isl", "2k", "--set", "model.index_topk=1024", "-o", "plan.toml")
        self.assertEqual(self.ok("estimate", "plan.toml", "--format", "csv"),
                         self.ok("estimate", "--ep", "64", "--isl", "2k", "--set", "model.index_topk=1024", "--format", "csv"))
        self.assertEqual(self.ok("config", "show", "-", stdin=(self.folder / "plan.toml").read_text()), (self.folder / "plan.toml").read_text())

    def test_a_variable_that_looks_like_a_slip(self):
        result = self.run_program("config", "show", env={"FATHOM_SYSTM": "h200"})
        self.assertEqual(result.returncode, 0)
        self.assertIn("FATHOM_SYSTEM", result.stderr)


class Refusals(Fathom):
    def test_usage(self):
        cases = [(("estimat",), "'estimate'"), (("spec", "lst"), "'list'"), (("estimate", "--isll", "4k"), "'--isl'"), (("estimate", "--isl"), "--isl"),
                 (("estimate", "--isl", "4q"), "'4q' is not a number"), (("estimate", "--isl", "1.5"), "whole"), (("estimate", "--isl", "-5"), "--isl: must"),
                 (("estimate", "--kv-cache-dtype", "fp9"), "'fp8'"), (("estimate", "--model", "deepseek-v3.22"), "did you mean"),
                 (("estimate", "--system", "h801_sxm"), "'h800_sxm'"), (("estimate", "--set", "isl"), "KEY=VALUE"), (("estimate", "--set", "isl=4"), "'workload.isl'"),
                 (("estimate", "--explain", "sparse_mlb"), "'sparse_mla'"), (("graph", "--block", "nowhere"), "moe_layer"), (("estimate", "a.toml", "b.toml"), "b.toml"),
                 (("estimate", "--isl", "200k"), "--isl: "), (("estimate", "--prefix", "4000"), "--prefix: "), (("estimate", "--nextn-accepted", "1"), "--nextn"),
                 (("completion", "tcsh"), "fish"), (("spec", "show"), "missing"), (("estimate", "--tpot", "soon"), "'soon'")]
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
        piped = subprocess.run(["bash", "-o", "pipefail", "-c", f"'{PROGRAM}' trace --all-layers | head -c 10"], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual((piped.returncode, piped.stderr), (0, ""))

    def test_colour_only_when_asked(self):
        self.assertIn("\x1b[1m", self.ok("estimate", "--color"))
        self.assertNotIn("\x1b", self.ok("estimate", "--color", "--no-color"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
