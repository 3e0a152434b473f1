"""Model files, and which setting wins."""
import csv
import io

from support.fathom import Fathom, main


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


if __name__ == "__main__":
    main()
