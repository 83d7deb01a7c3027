"""GGUF files: which one is chosen, and what their headers say, without reading a tensor."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest

from engine.checkpoint.files import gguf_choices, is_complete, missing_files, split_file
from engine.checkpoint.gguf import folder_shape, parse_gguf, read_gguf
from engine.checkpoint.shape import read_shape
from engine.errors import UnsupportedModel
from tests import gguf_models


@pytest.fixture(scope="module")
def path(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gguf_models.llama(llama_folder, tmp_path_factory.mktemp("gguf") / "tiny-Q8_0.gguf", "Q8_0")


def test_the_shape_is_that_of_the_expanded_weights(path: Path, llama_folder: Path) -> None:
    shape = folder_shape(path.parent, path.name, "tiny")
    plain = read_shape(llama_folder, json.loads((llama_folder / "config.json").read_text()), "tiny")
    for name in ("linear_weights", "other_weights", "table_weights", "head_weights", "largest_matrix", "layers", "cache_values",
                 "max_window", "vocab_size", "hidden_size", "intermediate_size"):
        assert getattr(shape, name) == getattr(plain, name), name
    assert (shape.stored_dtype, shape.stored_bytes, shape.stored_method) == ("bfloat16", path.stat().st_size, "GGUF")
    assert read_gguf(path, "tiny").has_chat_template


def test_experts_are_told_from_other_matrices() -> None:
    """Names as llama.cpp writes them: experts are one tensor of three dimensions, beside the router that chooses among them."""
    entries = [("token_embd.weight", (64, 400)), ("blk.0.ffn_gate_exps.weight", (64, 32, 8)), ("blk.0.ffn_gate_inp.weight", (64, 8)),
               ("blk.0.attn_output.weight", (64, 64))]
    table = b"".join(struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(sizes)) +
                     b"".join(struct.pack("<Q", size) for size in sizes) + struct.pack("<IQ", 1, 0) for name, sizes in entries)
    key = b"general.architecture"
    fields = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, 8) + b"qwen3moe"
    header = parse_gguf(b"GGUF" + struct.pack("<IQQ", 3, len(entries), 1) + fields + table, "a.gguf", "a")
    assert header is not None
    shape = header.shape()
    assert (shape.table_weights, shape.expert_weights, shape.linear_weights) == (64 * 400, 64 * 32 * 8, 64 * 64)


def test_of_a_number_for_each_layer_the_largest_counts() -> None:
    """LFM2 has layers without attention, whose number of heads is 0."""
    fields = text(b"general.architecture") + struct.pack("<I", 8) + text(b"lfm2")
    for name, number in ((b"block_count", 5), (b"embedding_length", 64), (b"attention.head_count", 8)):
        fields += text(b"lfm2." + name) + struct.pack("<II", 4, number)
    fields += text(b"lfm2.attention.head_count_kv") + struct.pack("<IIQ5I", 9, 4, 5, 0, 2, 0, 2, 0)
    fields += text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + 3 * text(b"a")
    header = parse_gguf(b"GGUF" + struct.pack("<IQQ", 3, 0, 6) + fields, "a.gguf", "a")
    assert header is not None
    assert (header.shape().kv_heads, header.shape().vocab_size) == (2, 3)


@pytest.mark.parametrize(("names", "chosen"), [
    (("a-Q8_0.gguf", "a-Q4_K_M.gguf", "a-Q2_K.gguf", "mmproj-a-F16.gguf"), "a-Q4_K_M.gguf"), (("a-f16.gguf", "a-q8_0.gguf"), "a-q8_0.gguf"),
    (("only.gguf", "README.md", "config.json"), "only.gguf"), (("model.safetensors", "a-Q4_K_M.gguf"), ""),
    (("a-Q4_K_M-00001-of-00002.gguf", "a-Q4_K_M-00002-of-00002.gguf", "Q8/a.gguf"), "")])
def test_a_sensible_file_is_chosen(names: tuple[str, ...], chosen: str) -> None:
    assert next(iter(gguf_choices(names)), "") == chosen


def test_files_that_cannot_be_loaded_are_explained() -> None:
    assert "are split" in missing_files(frozenset({"a-00001-of-00002.gguf"}), frozenset())
    assert "in folders of their own" in missing_files(frozenset({"Q4/a.gguf", "config.json", "tokenizer.json"}), frozenset())


def test_a_file_of_a_repository_is_part_of_its_name() -> None:
    assert split_file("me/tiny/a b-Q4.gguf") == ("me/tiny", "a b-Q4.gguf")
    for name in ("me/tiny", "me/tiny.gguf", "/home/me/tiny.gguf", "me/tiny/..\\x.gguf", "me/tiny/sub/x.gguf"):
        assert split_file(name) == (name, "")


@pytest.mark.parametrize("length", [3, 20, 1000, -2000])
def test_a_file_that_is_cut_off_is_refused(path: Path, tmp_path: Path, length: int) -> None:
    (tmp_path / "cut.gguf").write_bytes(path.read_bytes()[:length])
    with pytest.raises(UnsupportedModel, match=r"cut\.gguf is not a complete GGUF file"):
        read_gguf(tmp_path / "cut.gguf", "tiny")


@pytest.mark.parametrize(("content", "why"), [
    (b"PK\x03\x04" + bytes(100), "does not begin with GGUF"), (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
    (b"GGUF" + struct.pack("<IQQ", 3, 65_537, 0), "65,537 tensors, where at most 65,536 are read"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 4097), "4,097 fields, where at most 4,096"),
    (b"GGUF" + struct.pack("<IQQQIIQ", 3, 0, 1, 0, 9, 0, 2**60), "items in one list"),
    (b"GGUF" + struct.pack("<IQQQIIQ", 3, 0, 1, 0, 9, 99, 1), "a list of values of the type 99"),
    (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**40) + bytes(100), "a field of"),
    (b"GGUF" + struct.pack("<IQQQIIQ", 3, 0, 1, 0, 9, 9, 1) + bytes(100), "a list of lists"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "general.architecture")])
def test_a_damaged_file_is_refused(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "odd.gguf").write_bytes(content)
    with pytest.raises(UnsupportedModel, match=why):
        read_gguf(tmp_path / "odd.gguf", "tiny")


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def header_of_texts(*counts: int) -> bytes:
    """A header with a list of so many empty texts for each of `counts`."""
    lists = b"".join(text(b"list%d" % index) + struct.pack("<IIQ", 9, 8, count) + bytes(8 * count) for index, count in enumerate(counts))
    architecture = text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1 + len(counts)) + architecture + lists


def test_the_texts_of_all_lists_together_are_limited() -> None:
    """Each may have 8 bytes, and is read by itself: a header of 64 MiB would keep a process busy for long."""
    with pytest.raises(UnsupportedModel, match="3,000,001 texts in its lists, where at most 3,000,000 are read"):
        parse_gguf(header_of_texts(2_000_000, 1_000_001), "a.gguf", "a")


def test_the_largest_vocabularies_are_read_and_cut_off_ones_are_told() -> None:
    whole = header_of_texts(300_000, 600_000)
    header = parse_gguf(whole, "a.gguf", "a")
    assert header is not None
    assert (header.metadata["list0"], header.metadata["list1"], header.architecture) == (300_000, 600_000, "llama")
    assert parse_gguf(whole[:-1], "a.gguf", "a") is None
    assert parse_gguf(whole[:-12] + struct.pack("<Q", 2**63) + bytes(4), "a.gguf", "a") is None


def test_an_architecture_that_transformers_does_not_read_is_named(llama_folder: Path, tmp_path: Path) -> None:
    other = gguf_models.llama(llama_folder, tmp_path / "other.gguf", architecture="mpt")
    with pytest.raises(UnsupportedModel, match="does not read GGUF files of the architecture mpt"):
        read_gguf(other, "tiny")


def test_a_folder_with_a_gguf_file_is_complete(path: Path, tmp_path: Path) -> None:
    assert is_complete(path.parent)
    assert is_complete(path.parent, path.name)
    assert not is_complete(path.parent, "another.gguf")
    shutil.copy(path, tmp_path / "a-00001-of-00002.gguf")
    assert not is_complete(tmp_path)
