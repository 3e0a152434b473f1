#include <algorithm>
#include <array>

#include "cli/flags.h"

namespace fathom::cli {
namespace {

using enum Values;

constexpr std::string_view model = "Model and machines", work = "Workload", layout = "Layout (tp * dp = etp * ep ranks in each of pp stages)",
                           phases = "Layout of one phase", memory = "Batch and memory", prices = "Prices", policy = "How the engine runs it", output = "Output",
                           own = "This verb", prompts = "Prompts (repeatable; in this order)", generation = "Generation", running = "Running and looking at it";
constexpr std::string_view
    plan_verbs = "graph,trace",
    report_verbs = "estimate,vram,cost,spec list,spec show,spec check,profiles list,profiles show,profiles check,config show,checkpoint inspect,bench,doctor",
    weight_verbs = "run,checkpoint synth", cut_verbs = "run,checkpoint synth,bench";

constexpr std::string_view
    synth_flags = "model,weights,expert-weights,set",
    bench_flags = "model,system,weights,expert-weights,calibration,nextn,kv-cache-dtype,prefill-attention,set",
    run_flags = "model,weights,expert-weights,calibration,nextn,tp,pp,dp,etp,ep,chunked-prefill-size,kv-cache-dtype,prefill-attention,dispatch,set";

constexpr std::array table{
    Flag{"--ttft", number, "MS", "", "", own, "limit for the time to first token (2000, 2s); exit 1 if missed", "estimate"},
    Flag{"--tpot", number, "MS", "", "", own, "limit for the time per output token (50, 50ms); exit 1 if missed", "estimate"},
    Flag{"--detail", none, "", "", "", own, "add the step by operator: time, share, bound, source", "estimate,bench"},
    Flag{"--explain", optional_text, "STEP", "", "", own, "formula of each cost of a step (sparse_mla, ...), symbolic and filled in", "estimate"},
    Flag{"--curve", none, "", "", "", own, "cost against token position, beside published curves", "cost"},
    Flag{"--concurrency", integer, "N", "", "", own, "requests held at once on all GPUs together (1)", "vram"},
    Flag{"--phase", word, "PHASE", "", "prefill|decode", own, "which phase (decode)", plan_verbs},
    Flag{"--block", text, "NAME", "", "", own, "one block of the plan (the one that repeats most)", "graph"},
    Flag{"--all-layers", none, "", "", "", own, "every layer, not the first two of each kind", "trace"},
    Flag{"--origin", none, "", "", "", own, "where each value comes from", "config show"},
    Flag{"--force", none, "", "", "", own, "overwrite FILE", "spec init"},
    Flag{"--tensors", none, "", "", "", own, "list every tensor", "checkpoint inspect"},
    Flag{"--shard-GB", number, "X", "", "", own, "most bytes of a shard, in units of 1e9 (4)", "checkpoint synth"},
    Flag{"--format", word, "FORMAT", "", "dot|graphml", output, "dot or graphml (dot)", "graph"},

    Flag{"--model,--model-path", text, "NAME", "model", "", model, "name, config.json, .toml or checkpoint folder (deepseek-v3.2)", ""},
    Flag{"--system,--hardware,--gpu", text, "NAME", "system", "", model, "h800_sxm, h200_sxm, b200_sxm, ...: `fathom profiles list`", ""},
    Flag{"--decode-system", text, "NAME", "decode_system", "", model, "if decode runs on another machine", ""},
    Flag{"--calibration", text, "NAME", "calibration", "", model, "fractions of the peaks; speed_of_light for none", ""},
    Flag{"--total-gpus", integer, "N", "total_gpus", "", model, "GPUs of the cluster; 0: as many as the layout wants", ""},
    Flag{"--weights,--quantization", word, "TYPE",
         "model.storage.attention model.storage.indexer model.storage.dense_ffn model.storage.shared_experts model.storage.routed_experts",
         "bf16|fp8=fp8_block|int8|int4=int4_group|fp4", model, "storage of all weights that may be quantised", ""},
    Flag{"--expert-weights", word, "TYPE", "model.storage.routed_experts", "bf16|fp8=fp8_block|int8|int4=int4_group|fp4", model,
         "storage of the routed experts", ""},

    Flag{"--synthetic", integer, "SEED", "", "", model, "weights by rule, instead of those of a checkpoint folder", weight_verbs},
    Flag{"--layers", integer, "N", "", "", model, "only the first N layers", cut_verbs},
    Flag{"--experts", integer, "N", "", "", model, "only N routed experts (synthetic weights)", cut_verbs},

    Flag{"--prompt-ids", text, "FILE", "", "", prompts, "token ids separated by white space; random:N: N made by rule", "run", true},
    Flag{"--prompt", text, "TEXT", "", "", prompts, "the text as it is; texts need the checkpoint's tokenizer.json", "run", true},
    Flag{"--prompt-file", text, "FILE", "", "", prompts, "the text of a file, as it is", "run", true},
    Flag{"--messages", text, "FILE", "", "", prompts, "a conversation: OpenAI-style messages in JSON", "run", true},
    Flag{"--thinking", none, "", "", "", prompts, "conversations go on in thinking mode", "run"},

    Flag{"--max-new-tokens,--max-tokens", integer, "N", "", "", generation, "tokens to generate after each prompt (16)", "run"},
    Flag{"--ignore-eos", none, "", "", "", generation, "go on after the end-of-text token of config.json", "run"},
    Flag{"--temperature", number, "X", "", "", generation, "0: always the likeliest token (0)", "run"},
    Flag{"--top-p", number, "X", "", "", generation, "sample among the likeliest that reach this probability (1)", "run"},
    Flag{"--seed", integer, "N", "", "", generation, "of sampling; and of random:N without --synthetic (0)", "run"},
    Flag{"--mtp-hidden", word, "KIND", "", "normed|unnormed", generation, "what the prediction layer reads: after the final norm, or before (normed)", "run"},

    Flag{"--backend", word, "KIND", "", "cpu|cuda", running, "what computes (cpu)", "run"},
    Flag{"--numerics", word, "KIND", "", "exact|bf16|fp8", running, "float32; without scales; as deployed (exact; on cuda fp8)", "run"},
    Flag{"--max-sequences,--max-num-seqs", integer, "N", "", "", running, "at once on a dp rank (256)", "run"},
    Flag{"--pages", integer, "N", "", "", running, "of 64 tokens in the caches of a rank (what all prompts need)", "run"},
    Flag{"--compare", text, "SYSTEM", "", "", running, "predicted for SYSTEM beside measured, by operator", "run"},
    Flag{"--trace", text, "FILE", "", "", running, "every step as a timeline for Perfetto", "run"},
    Flag{"--dump", text, "FILE", "", "", running, "tensors of the first prompt as safetensors: logits, hidden states, choices", "run"},
    Flag{"--dump-rows", integer, "N", "", "", running, "of its last N tokens only (all)", "run"},
    Flag{"--force", text, "FILE", "", "", running, "choices and decode_ids of a dump, instead of the model's own", "run"},

    Flag{"--grid", text, "KEY=V,V", "", "", own, "values of sequences, new and cached (tokens of each); further KEY=V,V may follow", "bench", true},
    Flag{"--numerics", word, "KIND", "", "fp8|bf16", own, "as deployed; without scales (fp8)", "bench"},

    Flag{"--isl,--input-len", integer, "TOKENS", "workload.isl", "", work, "input tokens of a request (4000)", ""},
    Flag{"--osl,--output-len", integer, "TOKENS", "workload.osl", "", work, "output tokens (1000)", ""},
    Flag{"--prefix", integer, "TOKENS", "workload.prefix", "", work, "input tokens found in the prefix cache (0)", ""},
    Flag{"--nextn,--mtp", integer, "N", "policy.mtp_depth", "", work, "draft tokens a step, by multi-token prediction (0)", ""},
    Flag{"--nextn-accepted", number, "X", "workload.nextn_accepted", "", work, "of these, accepted on average (0)", ""},

    Flag{"--tp,--tp-size,--tensor-parallel-size", integer, "N", "layout.tp", "", layout, "tensor parallel: attention heads, dense FFN", ""},
    Flag{"--pp,--pp-size,--pipeline-parallel-size", integer, "N", "layout.pp", "", layout, "pipeline stages", ""},
    Flag{"--dp,--dp-size,--data-parallel-size,--attention-dp-size", integer, "N", "layout.dp", "", layout, "attention data parallel", ""},
    Flag{"--etp,--moe-tp-size", integer, "N", "layout.etp", "", layout, "tensor parallel inside an expert", ""},
    Flag{"--ep,--ep-size,--expert-parallel-size,--moe-ep-size", integer, "N", "layout.ep", "", layout, "expert parallel", ""},
    Flag{"--redundant-experts", integer, "N", "layout.redundant_experts", "", layout, "extra copies of experts", ""},
    Flag{"--micro-batches", integer, "N", "layout.micro_batches", "", layout, "in flight in the pipeline (pp)", ""},

    Flag{"--prefill-tp,--p-tp,--prefill-tp-size", integer, "N", "prefill.layout.tp", "", phases, "", ""},
    Flag{"--prefill-pp,--p-pp,--prefill-pp-size", integer, "N", "prefill.layout.pp", "", phases, "", ""},
    Flag{"--prefill-dp,--p-dp,--prefill-dp-size", integer, "N", "prefill.layout.dp", "", phases, "", ""},
    Flag{"--prefill-etp,--p-etp,--prefill-etp-size", integer, "N", "prefill.layout.etp", "", phases, "", ""},
    Flag{"--prefill-ep,--p-ep,--prefill-ep-size", integer, "N", "prefill.layout.ep", "", phases, "", ""},
    Flag{"--prefill-redundant-experts", integer, "N", "prefill.layout.redundant_experts", "", phases, "", ""},
    Flag{"--decode-tp,--d-tp,--decode-tp-size", integer, "N", "decode.layout.tp", "", phases, "", ""},
    Flag{"--decode-pp,--d-pp,--decode-pp-size", integer, "N", "decode.layout.pp", "", phases, "", ""},
    Flag{"--decode-dp,--d-dp,--decode-dp-size", integer, "N", "decode.layout.dp", "", phases, "", ""},
    Flag{"--decode-etp,--d-etp,--decode-etp-size", integer, "N", "decode.layout.etp", "", phases, "", ""},
    Flag{"--decode-ep,--d-ep,--decode-ep-size", integer, "N", "decode.layout.ep", "", phases, "", ""},
    Flag{"--decode-redundant-experts", integer, "N", "decode.layout.redundant_experts", "", phases, "", ""},

    Flag{"--batch,--bs,--batch-size,--max-num-seqs,--decode-batch,--d-bs", integer, "N", "decode.batch", "", memory,
         "decode sequences per dp rank (0: the largest that fits)", ""},
    Flag{"--prefill-batch,--p-bs", integer, "N", "prefill.batch", "", memory, "prompts per dp rank (0: what fills a chunk)", ""},
    Flag{"--chunked-prefill-size,--max-num-batched-tokens", integer, "TOKENS", "policy.chunked_prefill_tokens", "", memory,
         "most new tokens a rank and step (16Ki)", ""},
    Flag{"--kv-cache-dtype", word, "TYPE", "policy.cache", "fp8|bf16|auto|fp8_e4m3=fp8|bfloat16=bf16", memory, "latent cache: fp8 or bf16 (auto: the model's)",
         ""},
    Flag{"--gpu-mem-fraction,--gpu-memory-utilization,--mem-fraction-static,--free-gpu-memory-fraction", number, "X", "gpu_mem_fraction", "", memory,
         "share of usable memory that may be filled (0.9)", ""},

    Flag{"--overlap", word, "KIND", "policy.overlap", "none|two_batch", policy, "hide exchanges behind a second batch (none)", ""},
    Flag{"--enable-two-batch-overlap", none, "", "policy.overlap", "two_batch", policy, "the same as --overlap two_batch", ""},
    Flag{"--prefill-attention", word, "FORM", "policy.prefill_attention", "auto|mha|mqa", policy, "form of sparse attention in prefill (auto)", ""},
    Flag{"--dispatch", word, "KIND", "policy.dispatch", "auto|normal|low_latency", policy, "how tokens travel to experts (auto)", ""},
    Flag{"--set", text, "KEY=VALUE", "", "", policy, "any key of a scenario: `fathom config show`; repeatable", "", true},
    Flag{"--config", text, "FILE", "", "", policy, "the scenario file, as a flag", ""},

    Flag{"--price,--usd-per-gpu-hour", number, "USD", "prices.usd_per_gpu_hour", "", prices, "of a GPU-hour (the profile's typical)", ""},
    Flag{"--utilisation,--utilization", number, "X", "prices.utilisation", "", prices, "share of paid hours in which the GPUs work (1)", ""},

    Flag{"--format", word, "FORMAT", "", "table|json|csv|md", output, "table, json, csv or md (table)", report_verbs},
    Flag{"--format", word, "FORMAT", "", "json|table|csv|md", output, "json, table, csv or md (json)", "run"},
    Flag{"--output,-o", text, "DIR", "", "", output, "the folder to make; new or empty", "checkpoint synth"},
    Flag{"--output,-o", text, "FILE", "", "", output, "the measurements as TOML, besides the report", "bench"},
    Flag{"--output,-o", text, "FILE", "", "", output, "write to FILE instead of stdout", "*"},
    Flag{"--no-color", none, "", "", "", output, "no colours (nor with NO_COLOR, nor into a pipe)", "*"},
    Flag{"--color", none, "", "", "", output, "colours even into a pipe", "*"},
    Flag{"--help,-h", none, "", "", "", output, "this text", "*"},
};

constexpr std::array verb_table{
    Verb{"estimate", "[SCENARIO.toml]", "time, throughput, memory and cost of serving a model",
         "Predicts time to first token, time per output token, tokens per second and GPU, memory by part and USD per million tokens; or says in one "
         "line why the layout cannot run (exit code 1).",
         "fathom estimate\n"
         "fathom estimate --system h200_sxm --ep 32 --isl 8k --osl 1k --batch 64\n"
         "fathom estimate plan.toml --detail --format json -o plan.json\n"
         "fathom estimate --explain sparse_mla --set model.index_topk=1024"},
    Verb{"vram", "[SCENARIO.toml]", "which GPUs, and how many, hold a model",
         "For every machine (or the one given by --system) the smallest layout that holds weights, caches and buffers at this context (isl + osl), "
         "concurrency and storage of the weights.",
         "fathom vram\n"
         "fathom vram --isl 128k --osl 2k --concurrency 256\n"
         "fathom vram --system h20_sxm --weights int4 --kv-cache-dtype fp8"},
    Verb{"cost", "[SCENARIO.toml]", "USD per million tokens, at a point or against position",
         "At a point: input missed by the prefix cache, input found in it, and output, from the throughput that `fathom estimate` predicts. With --curve: "
         "the marginal cost of a token at each position inside a service that is fixed beforehand (DeepSeek's published units unless a layout is given), "
         "beside the published curves where there are any.",
         "fathom cost --price 2\n"
         "fathom cost --curve\n"
         "fathom cost --curve --model deepseek-v3.1-terminus --format csv -o curve.csv"},
    Verb{"spec list", "", "the models that are known, and where they come from", "", "fathom spec list", false, 0},
    Verb{"spec show", "NAME", "parameters, bytes and layers of a model", "", "fathom spec show deepseek-v3.2\nfathom spec show ./config.json --format json",
         false},
    Verb{"spec check", "FILE", "every problem of a model file, or its sums", "Exit code 3 if the file has problems.", "fathom spec check my-model.toml", false},
    Verb{"spec import", "CONFIG.json", "a model file from a Hugging Face config.json",
         "An architecture or quantisation that is not understood is refused by name.", "fathom spec import ./DeepSeek-V3.2/config.json -o my-model.toml",
         false},
    Verb{"spec init", "", "a commented model file to fill in", "", "fathom spec init -o my-model.toml", false, 0},
    Verb{"profiles list", "", "the machines that are known, and where they come from", "", "fathom profiles list", false, 0},
    Verb{"profiles show", "NAME", "rates, memory, links and price of a machine, with sources", "", "fathom profiles show h800_sxm", false},
    Verb{"profiles check", "FILE", "every problem of a hardware profile or calibration", "Exit code 3 if the file has problems.",
         "fathom profiles check my-gpu.toml", false},
    Verb{"graph", "[SCENARIO.toml]", "the operators of a block and what waits for what", "For GraphViz (dot) or as GraphML.",
         "fathom graph | dot -Tsvg -o block.svg\nfathom graph --block moe_layer --format graphml -o block.graphml"},
    Verb{"trace", "[SCENARIO.toml]", "the predicted step as a timeline for Perfetto",
         "Chrome trace JSON: open it in ui.perfetto.dev. A process per pipeline stage, a thread per stream. Of equal layers the first two are drawn.",
         "fathom trace -o step.json\nfathom trace --phase prefill --overlap two_batch --all-layers -o step.json"},
    Verb{"config show", "[SCENARIO.toml]", "every setting in force, and with --origin who set it",
         "Later ones win: built in, $XDG_CONFIG_HOME/fathom/config.toml, ./fathom.toml, the scenario file, FATHOM_* variables, flags. The output is itself a "
         "scenario file.",
         "fathom config show --origin\nFATHOM_ISL=8k fathom config show plan.toml --origin\nfathom config show --ep 64 -o plan.toml"},
    Verb{"run", "", "runs a model for real: tokens, measured times, tensors",
         "A checkpoint folder brings its weights; any other model needs --synthetic SEED. Ranks of the layout run as threads of one process. Prints JSON; "
         "progress goes to stderr. Flags alone count: no scenario file, no FATHOM_* variables.",
         "fathom run --model ./DeepSeek-V3.2 --layers 4 --prompt \"Hello\"\n"
         "fathom run --layers 4 --experts 16 --synthetic 7 --prompt-ids random:64\n"
         "fathom run --model ./tiny --dp 2 --pp 2 --prompt-ids ids.txt --trace run.json\n"
         "fathom run --model ./tiny --prompt-ids ids.txt --dump all.safetensors\n"
         "fathom run --model ./tiny --prompt-ids ids.txt --compare h200_sxm",
         false, 0, run_flags},
    Verb{"checkpoint inspect", "DIR", "tensors of a checkpoint, and what is missing or extra",
         "Compares names, types and shapes with what config.json asks for; reads no weights. Exit code 3 if something is missing or does not match.",
         "fathom checkpoint inspect ./DeepSeek-V3.2\nfathom checkpoint inspect ./tiny --tensors --format csv", false},
    Verb{"checkpoint synth", "", "writes a checkpoint with synthetic weights", "config.json, safetensors shards and their index, in the Hugging Face layout.",
         "fathom checkpoint synth --layers 4 --experts 16 --synthetic 7 -o ./tiny", false, 0, synth_flags},
    Verb{"bench", "[OP...|step] [KEY=V,V...]", "times operators alone on the GPU, against their floors",
         "Every operator of a step of the model at each point of a grid, once if several steps have the same: embedding, rms_norm, layer_norm, gemm, "
         "batched_gemm, quantise, rope, hadamard, latent_cache_write, latent_cache_read, index_cache_write, index_logits, top_k, dense_mha, dense_mqa, "
         "sparse_mla, gate, grouped_gemm, swiglu, permute, unpermute, add, sample; or those named. Random operands that do not come from a cache, a "
         "CUDA graph of launches, 20 replays: median, p10, p90. The floor is the operator's own cost at the peaks of --system (h200_sxm), beside it "
         "stands what the simulator predicts. Without --grid: decode steps of 1 to 128 sequences after 4Ki, 32Ki and 128Ki tokens, and prompts of 1Ki, "
         "4Ki and 16Ki tokens after none and 28Ki. `bench step` times whole steps of a model that fits one GPU (--layers, --experts), replayed as CUDA "
         "graphs behind caches that a rule filled, beside the sum of the floors and the prediction; --detail adds them by operator.",
         "fathom bench\n"
         "fathom bench gemm grouped_gemm --grid sequences=1,32,128\n"
         "fathom bench sparse_mla --grid sequences=32 new=1,2 cached=8Ki,64Ki --format csv\n"
         "fathom bench --numerics bf16 -o measured.toml\n"
         "fathom bench step --layers 13 --grid sequences=1,32 cached=4Ki,32Ki --detail",
         false, 64, bench_flags},
    Verb{"doctor", "", "what this machine has for running models, and what is missing",
         "CPU, memory, CUDA and every GPU; what is missing by name, with a remedy. Exit code 5 if --backend cuda is built in and does not run here.",
         "fathom doctor\nfathom doctor --format json", false, 0},
    Verb{"completion", "bash|zsh|fish", "completions for a shell", "", "fathom completion bash > ~/.local/share/bash-completion/completions/fathom", false},
};

bool lists(std::string_view list, std::string_view item) {
  return std::ranges::any_of(split(list, ','), [&](std::string_view part) { return part == item; });
}

}  // namespace

std::span<const Flag> flags() { return table; }
std::span<const Verb> verbs() { return verb_table; }

const Verb* find_verb(std::string_view name) {
  const auto found = std::ranges::find(verb_table, name, &Verb::name);
  return found == verb_table.end() ? nullptr : &*found;
}

bool takes(const Verb& verb, const Flag& flag) {
  if (flag.verbs.empty()) return verb.scenario || lists(verb.flags, first_name(flag));
  if (flag.verbs != "*") return lists(flag.verbs, verb.name);
  return std::ranges::none_of(table, [&](const Flag& f) { return first_name(f) == first_name(flag) && lists(f.verbs, verb.name); });
}

}  // namespace fathom::cli
