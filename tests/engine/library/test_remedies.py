"""Remedies offered after a failure: only those that can help."""

import pytest

from engine import EngineError, ModelFit, Quantization
from engine.errors import (
    DiskFull,
    DownloadBroken,
    HubOffline,
    HubUnreachable,
    InvalidRequest,
    ModelAccessDenied,
    NotEnoughMemory,
    RateLimited,
    TokenRejected,
    UnsupportedModel,
    UnsupportedQuantization,
)
from engine.hardware import Hardware
from engine.library import Remedy
from engine.library.remedies import remedies, too_large
from engine.models.catalog import entry_of
from engine.models.estimate import estimate_shape
from engine.models.memory import Verdict

GIB = 2**30
CPU = Hardware("cpu", "test CPU", 1, "bfloat16", "", 64 * GIB, True)
EIGHT, FOUR = "Qwen/Qwen3-8B", "Qwen/Qwen3-4B"      # 15.3 GiB in 16 bits, 5.4 GiB in 4; its sibling
MODEL = "me/model"


def fit_of(repo: str, free_gib: float, *, context_tokens: int = 4096, visitors: int = 1, hardware: Hardware = CPU) -> ModelFit:
    entry = entry_of(repo)
    assert entry is not None
    assert entry.shape is not None
    return estimate_shape(entry.shape, hardware, context_tokens=context_tokens, visitors=visitors, free_bytes=int(free_gib * GIB),
                          bandwidth=1e10)


def offered(repo: str, free_gib: float, quantization: Quantization = Quantization.NONE, *, context_tokens: int = 4096,
            visitors: int = 1, is_public: bool = False, hardware: Hardware = CPU) -> dict[str, str]:
    fit = fit_of(repo, free_gib, context_tokens=context_tokens, visitors=visitors, hardware=hardware)
    return {each.kind: each.value for each in too_large(repo, quantization, fit, is_public=is_public)}


# --- too large ---

def test_a_model_that_fits_in_4_bits_is_offered_in_4_bits() -> None:
    assert offered(EIGHT, 10)["quantize"] == "int4"


def test_the_smaller_kind_of_4_bits_is_offered_where_the_faster_one_does_not_fit() -> None:
    assert offered(FOUR, 3.8)["quantize"] == "nf4"
    assert offered(FOUR, 3.8, Quantization.INT4)["quantize"] == "nf4"


def test_a_gpu_is_offered_its_own_4_bits() -> None:
    gpu = Hardware("cuda", "a GPU", 1, "bfloat16", "", 64 * GIB, True)
    assert offered(EIGHT, 10, hardware=gpu)["quantize"] == "nf4"


def test_4_bits_are_not_offered_where_they_do_not_fit() -> None:
    assert "quantize" not in offered(EIGHT, 4)


def test_no_weaker_quantization_is_offered() -> None:
    assert "quantize" not in offered(EIGHT, 30, Quantization.NF4, context_tokens=200_000)


def test_a_quantization_that_this_machine_cannot_do_is_not_offered() -> None:
    arm = Hardware("cpu", "ARM", 1, "bfloat16", "", 64 * GIB, False)
    assert "quantize" not in offered(EIGHT, 10, hardware=arm)


@pytest.mark.parametrize("visitors", [1, 4])
def test_the_context_that_is_offered_fits_and_a_larger_one_does_not(visitors: int) -> None:
    context = int(offered(EIGHT, 18, context_tokens=40_000, visitors=visitors)["context"])
    assert fit_of(EIGHT, 18, context_tokens=context, visitors=visitors).choices[0].fit.verdict is not Verdict.TOO_LARGE
    assert fit_of(EIGHT, 18, context_tokens=context + 1, visitors=visitors).choices[0].fit.verdict is Verdict.TOO_LARGE


def test_no_context_is_offered_that_is_too_small_for_a_chat() -> None:
    assert "context" not in offered(EIGHT, 15.45, context_tokens=40_000)


def test_no_context_is_offered_where_the_models_full_window_fits() -> None:
    assert "context" not in offered("HuggingFaceTB/SmolLM2-135M-Instruct", 60, context_tokens=1_000_000)


def test_a_smaller_sibling_is_offered() -> None:
    assert offered(EIGHT, 4)["sibling"] == FOUR


def test_a_model_of_no_family_has_no_sibling() -> None:
    found = too_large(MODEL, Quantization.NONE, fit_of(EIGHT, 4), is_public=False)
    assert [each.kind for each in found] == ["force"]


def test_loading_anyway_is_the_last_remedy() -> None:
    assert list(offered(EIGHT, 10))[-1] == "force"


def test_a_public_page_does_not_offer_to_load_anyway() -> None:
    assert "force" not in offered(EIGHT, 10, is_public=True)


# --- everything else ---

@pytest.mark.parametrize(("error", "expected"), [
    (UnsupportedQuantization(MODEL, "INT8", "no"), Remedy("quantize", "none")),
    (ModelAccessDenied(MODEL), Remedy("token")),
    (TokenRejected(MODEL), Remedy("token")),
    (HubUnreachable(MODEL, "silence"), Remedy("retry")),
    (HubOffline(MODEL), Remedy("disk")),        # to ask again would change nothing
    (RateLimited(MODEL, 3), Remedy("retry")),
    (DownloadBroken(MODEL, "a file", "cut"), Remedy("retry")),
    (DiskFull(2, 1), Remedy("disk"))], ids=lambda value: type(value).__name__)
def test_a_failure_has_its_remedy(error: EngineError, expected: Remedy) -> None:
    assert remedies(error, MODEL, Quantization.NONE, None, is_public=False) == (expected,)


def test_a_model_without_safetensors_offers_the_revision_that_has_them() -> None:
    found = remedies(UnsupportedModel(MODEL, "pickled"), MODEL, Quantization.NONE, None, is_public=False, other_revision="refs/pr/1")
    assert found == (Remedy("revision", "refs/pr/1"),)


def test_for_weights_that_cannot_be_read_the_model_they_were_made_of_is_offered() -> None:
    found = remedies(UnsupportedModel(MODEL, "AQLM"), MODEL, Quantization.NONE, None, is_public=False, base_model="me/original")
    assert found == (Remedy("sibling", "me/original"),)


@pytest.mark.parametrize("error", [UnsupportedModel(MODEL, "no architecture"), InvalidRequest("size", 1, "2"), ValueError("what?")])
def test_no_remedy_is_offered_where_only_a_person_can_know_one(error: Exception) -> None:
    assert remedies(error, MODEL, Quantization.NONE, None, is_public=False) == ()


def test_a_refused_load_offers_the_remedies_of_a_model_that_is_too_large() -> None:
    fit = fit_of(EIGHT, 10)
    found = remedies(NotEnoughMemory(EIGHT, 16 * GIB, 10 * GIB, ""), EIGHT, Quantization.NONE, fit, is_public=False)
    assert found == too_large(EIGHT, Quantization.NONE, fit, is_public=False)
    assert found[0] == Remedy("quantize", "int4")
