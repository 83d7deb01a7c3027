import torch

from engine.generation.sampling import BatchedSampling, keep_likely

LOGITS = torch.tensor([0.1, 0.2, 0.4, 0.3]).log()


def draw(temperature: float, top_k: int, top_p: float, count: int = 4000) -> torch.Tensor:
    """Frequency of each token among `count` replies with the same arguments."""
    torch.manual_seed(0)
    arguments = torch.stack([
        torch.full((count,), temperature).view(torch.int32), torch.full((count,), top_p).view(torch.int32),
        torch.full((count,), top_k, dtype=torch.int32)])
    scores = BatchedSampling()(torch.zeros(count, dtype=torch.long), LOGITS.repeat(count, 1), arguments)
    return torch.bincount(scores.argmax(-1), minlength=4) / count


def test_temperature_one_samples_from_the_softmax() -> None:
    assert torch.allclose(draw(1.0, 0, 1.0), LOGITS.exp(), atol=0.03)


def test_a_low_temperature_sharpens_the_distribution() -> None:
    assert torch.allclose(draw(0.5, 0, 1.0), (LOGITS * 2).softmax(-1), atol=0.03)


def test_temperature_zero_is_greedy() -> None:
    assert draw(0.0, 0, 1.0).tolist() == [0, 0, 1, 0]


def test_top_k_keeps_the_k_most_likely_tokens() -> None:
    assert torch.allclose(draw(1.0, 2, 1.0), torch.tensor([0, 0, 4 / 7, 3 / 7]), atol=0.03)


def test_top_p_keeps_the_smallest_nucleus() -> None:
    assert torch.allclose(draw(1.0, 0, 0.65), torch.tensor([0, 0, 4 / 7, 3 / 7]), atol=0.03)


def test_top_k_larger_than_the_vocabulary_has_no_effect() -> None:
    assert torch.allclose(draw(1.0, 10**6, 1.0), LOGITS.exp(), atol=0.03)


def test_rows_have_their_own_arguments() -> None:
    kept = keep_likely(LOGITS.repeat(2, 1), torch.tensor([1, 0]), torch.tensor([1.0, 1.0]))
    assert torch.isfinite(kept).sum(-1).tolist() == [1, 4]
