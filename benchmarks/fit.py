"""Compares the memory estimate with the memory that loading and replies really take, for models with random weights.

    python -m benchmarks.fit [--device cuda] [--only NAME] [--out docs/benchmarks/fit.json]

Every row is measured in a new process, which uses the engine as the page does: it loads the model, and then several visitors fill
their context windows at the same time. The measured value is the highest resident memory of the process (on a GPU: memory of the
device) minus that before the load. Mapped pages of the model's files count while they are resident, as they do for any process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .make_model import make_tokenizer

VISITORS, CONTEXTS, NEW_TOKENS = 2, (512, 1536), 12
TOLERANCE_SHARE, TOLERANCE_BYTES = 0.10, 150e6
MB = 1e6


@dataclass(frozen=True, slots=True)
class Made:
    """A model to make, with random weights. `shard`: the largest size of a file, as save_pretrained takes it."""

    name: str
    family: str
    dtype: str
    sizes: dict[str, Any] = field(hash=False)
    shard: str = "50GB"


def decoder(hidden: int, layers: int, intermediate: int, heads: int, kv_heads: int, vocabulary: int, is_tied: bool,
            **more: Any) -> dict[str, Any]:
    return {"hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": intermediate, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "head_dim": 64, "vocab_size": vocabulary, "tie_word_embeddings": is_tied, **more}


MODELS = (
    Made("llama 22M bf16", "llama", "bfloat16", decoder(384, 8, 1024, 6, 6, 8192, True)),
    Made("gpt2 124M f32", "gpt2", "float32", {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257}),
    Made("qwen3 110M bf16", "qwen3", "bfloat16", decoder(576, 30, 1536, 9, 3, 8192, True)),
    Made("qwen3 150M f16, big untied vocabulary", "qwen3", "float16", decoder(512, 16, 2048, 8, 4, 64000, False)),
    Made("llama 160M f32", "llama", "float32", decoder(768, 14, 2560, 12, 4, 16384, False)),
    Made("gpt_neox 160M f16", "gpt_neox", "float16", {
        "hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072, "num_attention_heads": 12, "vocab_size": 32000}),
    Made("gemma3 200M bf16, big tied vocabulary", "gemma3_text", "bfloat16", decoder(
        640, 16, 2560, 10, 2, 160000, True, sliding_window=512)),
    Made("mixtral 190M bf16", "mixtral", "bfloat16", decoder(512, 8, 1408, 8, 4, 8192, False, num_local_experts=8, num_experts_per_tok=2)),
    Made("qwen3_5 130M bf16, states in three of four layers", "qwen3_5_text", "bfloat16", decoder(
        640, 16, 1792, 10, 2, 16000, True, linear_num_key_heads=8, linear_num_value_heads=8, linear_key_head_dim=64,
        linear_value_head_dim=64)),
    Made("granite 4 140M bf16, Mamba layers", "granitemoehybrid", "bfloat16", {
        **decoder(768, 16, 2048, 12, 4, 16000, True, layer_types=(["mamba"] * 3 + ["attention"]) * 4), "num_local_experts": 0,
        "shared_intermediate_size": 2048, "mamba_n_heads": 24, "mamba_d_head": 64, "mamba_d_state": 64, "attention_multiplier": 0.125}),
    Made("lfm2 110M bf16, convolutions", "lfm2", "bfloat16", decoder(
        768, 12, 2304, 12, 4, 16000, True, block_auto_adjust_ff_dim=False, layer_types=["conv", "conv", "full_attention"] * 4)),
    Made("gemma4 150M bf16, shared keys, tables of layers", "gemma4_text", "bfloat16", decoder(
        512, 12, 1536, 8, 2, 16000, True, sliding_window=512, num_kv_shared_layers=4, global_head_dim=128,
        hidden_size_per_layer_input=128, vocab_size_per_layer_input=16000)),
    Made("olmo3 130M bf16, sliding windows", "olmo3", "bfloat16", decoder(768, 12, 2304, 12, 4, 16000, False, sliding_window=512)),
    Made("gpt_oss 160M bf16, experts and sliding windows", "gpt_oss", "bfloat16", decoder(
        512, 8, 768, 8, 4, 8192, False, num_local_experts=8, num_experts_per_tok=2, sliding_window=128)),
    Made("qwen3 350M bf16, 7 files", "qwen3", "bfloat16", decoder(1024, 24, 3072, 16, 8, 32000, True), "100MB"),
    Made("llama 700M bf16, 4 files", "llama", "bfloat16", decoder(1536, 20, 5120, 24, 8, 32000, False), "400MB"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """The results of one measurement, in bytes. `anonymous`: the memory without mapped files, on systems that report it."""

    model: str
    quantization: str
    context: int
    estimate: dict[str, Any]
    load_peak: int
    peak: int
    anonymous: int
    expected_rate: float
    rate: float
    seconds: float

    @property
    def difference(self) -> int:
        return int(self.estimate["total"]) - self.peak

    @property
    def is_within(self) -> bool:
        return abs(self.difference) <= max(TOLERANCE_BYTES, TOLERANCE_SHARE * self.peak)


def make(made: Made, folder: Path, tokenizer: Any, device: str = "cpu") -> None:
    """Write the model and the tokenizer into `folder`. Its weights are drawn on `device`, and nothing stays there."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    torch.manual_seed(0)
    config = AutoConfig.for_model(made.family, **{
        "max_position_embeddings": 4096, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0, **made.sizes})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, made.dtype))
    model = model.to_empty(device=device)
    model.tie_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0)
            elif device == "cpu":
                parameter.view(-1).copy_(_noise(parameter.numel(), parameter.dtype))
            else:
                parameter.normal_(std=0.02)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=1, pad_token_id=0)
    model.save_pretrained(folder, max_shard_size=made.shard)
    tokenizer.save_pretrained(folder)


def _noise(count: int, dtype: Any) -> Any:
    """Return normally distributed weights. One million values are repeated, since drawing all of them would take most of the time."""
    import torch

    block = torch.randn(min(count, 1_000_003)) * 0.02
    return block.repeat(-(-count // len(block)))[:count].to(dtype)


def measure(folder: str, quantization: str, context: int, device: str) -> dict[str, Any]:
    """Measure one row. Runs in a separate process."""
    from engine import Engine, ModelSpec, Quantization, Settings, estimate_fit
    from engine.models.fit.__main__ import as_json
    from engine.models.memory_peak import PeakWatch

    settings = Settings(device=device, context_tokens=context, concurrent_replies=VISITORS, data_dir=Path(tempfile.mkdtemp(dir=folder)))
    engine = Engine(settings)
    hardware = engine.hardware
    fit = as_json(estimate_fit(folder, context_tokens=context, visitors=VISITORS, settings=settings, hardware=hardware))
    anonymous, started = _anonymous_bytes(), time.perf_counter()
    with PeakWatch(hardware) as watch:
        for _ in engine.load(ModelSpec(folder, quantization=Quantization(quantization))):
            pass
        load_peak = watch.peak_bytes
        _fill_windows(engine, context)
    seconds = time.perf_counter() - started
    row = {
        "estimate": fit["quantizations"][quantization], "load_peak": load_peak,
        "peak": watch.peak_bytes, "anonymous": _anonymous_bytes() - anonymous,
        "expected_rate": fit["quantizations"][quantization]["tokens_per_second"], "rate": _rate(engine, context), "seconds": seconds}
    engine.close()
    return row


def _fill_windows(engine: Any, context: int) -> None:
    texts = [_text(engine, visitor, context - NEW_TOKENS - 40) for visitor in range(VISITORS)]
    threads = [threading.Thread(target=_ask, args=(engine, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask(engine: Any, text: str) -> Any:
    from engine import GenerationOptions, Message

    return list(engine.chat([Message("user", text)], GenerationOptions(max_new_tokens=NEW_TOKENS, temperature=0.0)))[-1]


def _text(engine: Any, seed: int, tokens: int) -> str:
    """Return about `tokens` tokens of words that no other seed has."""
    words = [f"ka{seed}ro{i * 7 % 13}mi" for i in range(tokens)]
    return " ".join(words[: int(len(words) * tokens / engine.count_tokens(" ".join(words)) * 0.98)])


def _rate(engine: Any, context: int) -> float:
    """Return the tokens per second of another reply to a prompt that fills the window and is in the KV cache already."""
    finished = _ask(engine, _text(engine, 0, context - NEW_TOKENS - 40))
    return float(finished.usage.tokens_per_second)


def _anonymous_bytes() -> int:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def rows(made: Made, tokenizer: Any, device: str) -> list[Row]:
    measured = []
    with tempfile.TemporaryDirectory(prefix="fit-") as folder:
        make(made, Path(folder), tokenizer)
        for quantization in ("none", "int8", "int4", "nf4"):
            for context in CONTEXTS:
                command = [sys.executable, "-m", "benchmarks.fit", "--device", device, "--one", folder, quantization, str(context)]
                run = subprocess.run(command, capture_output=True, text=True, check=False)
                if run.returncode:
                    raise SystemExit(f"{made.name} {quantization}: {run.stderr[-2000:]}")
                row = Row(made.name, quantization, context, **json.loads(run.stdout.splitlines()[-1]))
                print(_line(row), flush=True)
                measured.append(row)
    return measured


def _line(row: Row) -> str:
    mark = "" if row.is_within else "  <-- outside"
    return (f"{row.model:<40}{row.quantization:<6}{row.context:>5}  {row.estimate['total'] / MB:>6.0f} {row.peak / MB:>6.0f} "
            f"{row.difference / MB:>+6.0f} {row.difference / row.peak:>+5.0%}   load {row.estimate['load_peak'] / MB:>6.0f} "
            f"{row.load_peak / MB:>6.0f}   anon {row.estimate['needed'] / MB:>6.0f} {row.anonymous / MB:>6.0f}   "
            f"tok/s {row.expected_rate:>6.1f} {row.rate:>6.1f}  {row.seconds:.1f} s{mark}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "QUANTIZATION", "CONTEXT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], options.one[1], int(options.one[2]), options.device)))
        return
    started, tokenizer = time.perf_counter(), make_tokenizer(8192)
    print(f"{'MB, estimate and measured:':<53}  {'total':>20} {'':>5}")
    found = [row for made in MODELS if options.only in made.name for row in rows(made, tokenizer, options.device)]
    worst = max(found, key=lambda row: abs(row.difference) / max(TOLERANCE_BYTES, TOLERANCE_SHARE * row.peak))
    within, seconds = sum(row.is_within for row in found), time.perf_counter() - started
    print(f"{within} of {len(found)} rows within 10 % or 150 MB, in {seconds:.0f} s; worst:\n{_line(worst)}")
    if options.out:
        options.out.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
