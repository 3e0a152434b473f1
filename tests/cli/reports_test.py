"""What each verb prints, in every format. No test depends on a predicted number."""
import csv
import io
import json
import re
import subprocess

from support.fathom import Fathom, main

AIC_COLUMNS = "model,isl,osl,prefix,concurrency,request_rate,bs,global_bs,ttft,tpot,request_latency,seq/s,seq/s/gpu,tokens/s,tokens/s/gpu,tokens/s/user"


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
        for words in ("input tokens/s/GPU", "output tokens/s/GPU", "per million output tokens", "per GPU-hour", "rests on rates that are",
                      "not given, so default"):
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


if __name__ == "__main__":
    main()
