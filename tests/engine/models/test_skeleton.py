"""Missing or wrong contents of a model's files are found before anything is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    GPTJConfig,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaModel,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from engine import ModelSpec, Quantization, Settings
from engine.compat.bitsandbytes import packs_rows_on_cpu
from engine.errors import LoadError, UnsupportedModel, UnsupportedQuantization
from engine.hardware import Hardware, detect
from engine.models.loader import examine, load
from engine.models.skeleton import build_skeleton, require_weights
from tests import tiny_models

HARDWARE = detect("cpu")
Weights = dict[str, torch.Tensor]


def examined(folder: Path, quantization: Quantization = Quantization.NONE, hardware: Hardware = HARDWARE, **settings: object) -> object:
    made = Settings(device="cpu", data_dir=folder.parent / "data", **settings)  # type: ignore[arg-type]
    return examine(ModelSpec(str(folder), quantization=quantization), hardware, made, 10**12, lambda event: None)


@pytest.fixture
def folder(llama_folder: Path, tmp_path: Path) -> Path:
    """A copy of the model that the test may damage."""
    return shutil.copytree(llama_folder, tmp_path / "model")


def change_weights(folder: Path, change: Callable[[Weights], Weights]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- weights ---

@pytest.mark.parametrize(("change", "why"), [
    (lambda found: {name: value for name, value in found.items() if ".layers.1." not in name}, r"lack 9 of the model's 21 weights"),
    (lambda found: {name: value for name, value in found.items() if name != "lm_head.weight"}, r"example lm_head\.weight"),
    (lambda found: {f"foo.{name}": value for name, value in found.items()}, "lack 21 of"),
    (lambda found: {**found, "model.norm.weight": torch.ones(3)}, r"model\.norm\.weight has the shape \[3\] in its files, .* \[64\]")],
    ids=["a layer", "the head", "all names", "a shape"])
def test_weights_that_are_missing_or_of_another_shape_are_named(folder: Path, change: Callable[[Weights], Weights], why: str) -> None:
    change_weights(folder, change)
    with pytest.raises(UnsupportedModel, match=why):
        examined(folder)


def test_experts_that_transformers_merges_are_complete_and_a_missing_one_is_not(tmp_path: Path) -> None:
    folder = saved(MixtralForCausalLM(MixtralConfig(
        vocab_size=400, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        num_local_experts=4)), tmp_path / "mixtral")
    examined(folder)
    change_weights(folder, lambda found: {name: value for name, value in found.items() if ".experts.1." not in name})
    with pytest.raises(UnsupportedModel, match="experts"):
        examined(folder)


def saved(model: PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)
    return folder


SIZES = {"vocab_size": 400, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
SEQ2SEQ = {"vocab_size": 400, "d_model": 64, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
           "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}


@pytest.mark.parametrize("make", [
    lambda: LlamaForSequenceClassification(LlamaConfig(**SIZES)), lambda: LlamaModel(LlamaConfig(**SIZES)),
    lambda: BertForMaskedLM(BertConfig(**SIZES)), lambda: BartForConditionalGeneration(BartConfig(**SEQ2SEQ)),
    lambda: T5ForConditionalGeneration(T5Config(vocab_size=400, d_model=64, d_ff=64, num_layers=1, num_heads=2, d_kv=32))],
    ids=["classifier", "embeddings", "encoder", "bart", "t5"])
def test_models_of_another_task_are_refused(tmp_path: Path, make: Callable[[], PreTrainedModel]) -> None:
    with pytest.raises(UnsupportedModel, match=r"another task|not a causal language model"):
        examined(saved(make(), tmp_path / "model"))


def test_an_encoder_with_a_head_for_text_is_refused_and_a_decoder_is_not(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="does not set is_decoder"):
        examined(saved(BertLMHeadModel(BertConfig(**SIZES)), tmp_path / "encoder"))
    examined(saved(BertLMHeadModel(BertConfig(**SIZES, is_decoder=True)), tmp_path / "decoder"))


def test_a_decoder_whose_config_has_an_is_decoder_that_it_does_not_use_is_accepted(tmp_path: Path) -> None:
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES))
    assert model.config.is_decoder is False
    examined(saved(model, tmp_path / "model"))


def test_flat_weights_of_bitsandbytes_are_found_by_the_names_that_a_family_had_before() -> None:
    """Repositories of Qwen2.5-VL keep the names of an older transformers: model.layers instead of model.language_model.layers."""
    text = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
            "vocab_size": 128, "rope_parameters": {"rope_type": "default", "mrope_section": [4, 6, 6]}}
    vision = {"depth": 1, "hidden_size": 32, "out_hidden_size": 64, "num_heads": 2, "intermediate_size": 64}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, image_token_id=1, video_token_id=2, vision_start_token_id=3,
                              vision_end_token_id=4)
    skeleton = build_skeleton(config, "tiny")
    tensors = []
    for name, weight in skeleton.state_dict().items():
        sizes = [weight.numel(), 1] if name.endswith("proj.weight") and "language_model" in name else list(weight.shape)
        tensors.append((name.replace("model.language_model.", "model.").replace("model.visual.", "visual."), sizes, "BF16"))
    assert sum(sizes[-1] == 1 for _, sizes, _ in tensors) == 2 * 7
    require_weights(skeleton, config, tensors, "tiny")
    with pytest.raises(UnsupportedModel, match="has the shape"):
        require_weights(skeleton, config, [(name, [2 * sizes[0], *sizes[1:]], kind) for name, sizes, kind in tensors], "tiny")


# --- files ---

def shards(folder: Path) -> list[Path]:
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size=100_000)
    return sorted(folder.glob("model-*.safetensors"))


def remove_a_shard(folder: Path) -> None:
    shards(folder)[1].unlink()


def cut_a_shard(folder: Path) -> None:
    path = shards(folder)[1]
    path.write_bytes(path.read_bytes()[:-1000])


def remove_the_index(folder: Path) -> None:
    shards(folder)
    (folder / "model.safetensors.index.json").unlink()


def overlap(folder: Path) -> None:
    """Let a tensor stand where another of the same shape stands."""
    path = folder / "model.safetensors"
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    names = ("model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight")
    header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]
    changed = json.dumps(header).encode()
    changed += b" " * (-len(changed) % 8)
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[end:])


@pytest.mark.parametrize(("damage", "why"), [
    (remove_a_shard, r"missing, for example model-0"), (cut_a_shard, r"model-0.* is not a complete safetensors file"),
    (overlap, r"model\.safetensors is not a complete safetensors file"),
    (lambda folder: (folder / "config.json").write_text("[" * 100_000), r"config\.json cannot be read"),
    (lambda folder: (shards(folder)[0].parent / "model.safetensors.index.json").write_text("[" * 100_000), "weight files are missing"),
    (remove_the_index, r"index\.json, which lists its weight files, is missing"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
    (lambda folder: (folder / "tokenizer.json").write_text("{}"), "its tokenizer cannot be read")],
    ids=["a shard", "half a shard", "bytes of a tensor", "a deep config", "a deep index", "the index",
         "the tokenizer", "a damaged tokenizer"])
def test_files_that_are_missing_or_damaged_are_named(folder: Path, damage: Callable[[Path], object], why: str) -> None:
    damage(folder)
    with pytest.raises(LoadError, match=why):
        examined(folder)


def test_weights_that_the_index_does_not_list_are_not_counted(folder: Path) -> None:
    before = examined(folder).shape     # type: ignore[attr-defined]
    shutil.copy(folder / "model.safetensors", folder / "consolidated.safetensors")
    assert examined(folder).shape == before     # type: ignore[attr-defined]


# --- configurations ---

def test_more_layers_than_tensors_are_refused_before_they_are_built(folder: Path) -> None:
    change_config(folder, num_hidden_layers=1_000_000_000)
    with pytest.raises(UnsupportedModel, match="asks for 1,000,000,000 layers, and its files hold 21 tensors"):
        examined(folder)


def test_tables_that_no_file_holds_are_limited(tmp_path: Path) -> None:
    made = {"n_layer": 1, "n_embd": 64, "n_head": 2, "rotary_dim": 8, "vocab_size": 64, "bos_token_id": 0, "eos_token_id": 1}
    build_skeleton(GPTJConfig(**made, n_positions=2048), "tiny")
    with pytest.raises(UnsupportedModel, match="asks for tables of 244 MiB"):
        build_skeleton(GPTJConfig(**made, n_positions=8_000_000), "tiny")


@pytest.mark.parametrize("changes", [
    {"_attn_implementation": "flash_attention_2"}, {"attn_implementation": "paged|unknown"}, {"dtype": "torch.float16"},
    {"torch_dtype": "torch.bfloat16"}, {"auto_map": {"AutoModelForCausalLM": "code.Model"}}, {"sliding_window": 4}],
    ids=["flash attention", "unknown attention", "a dtype with its module", "an old dtype", "code that is not needed", "a stray window"])
def test_configuration_fields_that_do_not_apply_here_change_nothing(folder: Path, llama_folder: Path, changes: dict[str, object]) -> None:
    change_config(folder, **changes)
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])
    answers = [load(examined(each), HARDWARE, lambda event: None).model.generate(      # type: ignore[arg-type]
        ids, max_new_tokens=8, do_sample=False) for each in (llama_folder, folder)]
    assert answers[0].tolist() == answers[1].tolist()


@pytest.mark.parametrize("quantization", [Quantization.INT8, Quantization.INT4, Quantization.NF4])
def test_layers_that_cannot_be_quantized_are_refused(mamba_folder: Path, quantization: Quantization) -> None:
    with pytest.raises(UnsupportedQuantization, match="mamba"):
        examined(mamba_folder, quantization)


def narrow(folder: Path, width: int, inner: int) -> Path:
    return saved(LlamaForCausalLM(LlamaConfig(**{**SIZES, "hidden_size": width, "intermediate_size": inner})), folder)


def test_layers_that_the_kernel_cannot_compute_are_named_in_the_candidate(tmp_path: Path) -> None:
    folder = narrow(tmp_path / "model", 64, 72)
    note = examined(folder, Quantization.INT4).quantization_note       # type: ignore[attr-defined]
    assert "3 of 7 linear layers are not quantized, for example model.layers.0.mlp.gate_proj with 64 columns and 72 rows" in note
    assert examined(folder, Quantization.NF4 if not packs_rows_on_cpu() else Quantization.NONE).quantization_note == ""   # type: ignore[attr-defined]


def test_a_model_of_which_no_layer_can_be_rounded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedQuantization, match=r"INT4 .* columns in multiples of 32 and rows in multiples of 16"):
        examined(narrow(tmp_path / "model", 40, 40), Quantization.INT4)
    with pytest.raises(UnsupportedQuantization, match="columns in multiples of 16"):
        examined(narrow(tmp_path / "other", 40, 40), Quantization.INT8)


def test_examining_a_model_leaves_the_default_dtype_of_torch_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies of the current model continue meanwhile, and the default is the same for all threads."""
    folder, changed = tiny_models.llama(tmp_path / "bf16", dtype=torch.bfloat16), []
    monkeypatch.setattr(torch, "set_default_dtype", lambda dtype, change=torch.set_default_dtype: (changed.append(dtype), change(dtype)))
    examined(folder)
    assert set(changed) <= {torch.float32}
