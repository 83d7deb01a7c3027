"""What a measurement is about: its English title, and its form in a job's facts."""

import pytest

from engine.background import Job
from engine.benchmark.benchmarks import subject_of
from engine.benchmark.measure.subject import Subject, subject_facts
from engine.benchmark.quality_runs import CostPlan, QualityPlan
from engine.benchmark.sweep import SweepPlan
from engine.models.quantization import Quantization
from engine.models.spec import ModelSpec

NF4 = ModelSpec("me/tiny", quantization=Quantization.NF4)


@pytest.mark.parametrize(("subject", "title"), [
    (Subject.of(NF4), "tiny, nf4"), (Subject.of(NF4, context_tokens=2048), "tiny, nf4, 2,048 tokens"),
    (Subject.of(NF4, tasks=QualityPlan(text="x", harness_tasks=("arc_easy",)).tasks), "tiny, nf4: text, arc_easy"),
    (CostPlan("builtin", "x", (Quantization.INT8, Quantization.NF4)).subject, "Built-in guide x int8, nf4"),
    (SweepPlan(("builtin", "me/tiny"), (Quantization.NONE, Quantization.NF4), (0, 2048)).subject,
     "Built-in guide, tiny x none, nf4 x 0, 2,048 tokens, pp512 tg128"),
    (SweepPlan(("builtin",)).subject, "Built-in guide, none, pp512 tg128")])
def test_a_subject_has_an_english_title_and_is_kept_in_facts(subject: Subject, title: str) -> None:
    assert subject.title == title
    assert subject_of(Job(1, "sweep", title, "me", "done", facts=subject_facts(subject, sweep="5"))) == subject


@pytest.mark.parametrize("facts", ["", "{}", '{"sweep": "5", "plan": {}}', '{"repo": "me/tiny"}'])
def test_a_job_of_an_earlier_version_has_no_subject(facts: str) -> None:
    assert subject_of(Job(1, "sweep", "tiny x none, nf4", "me", "done", facts=facts)) is None


def test_only_measurements_have_a_subject() -> None:
    assert subject_of(Job(1, "download", "me/tiny", "me", "done", facts=subject_facts(Subject.of(NF4)))) is None
