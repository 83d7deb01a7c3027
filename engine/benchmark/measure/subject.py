"""What a measurement is about, as data, from which the page forms a title in the visitor's language."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ...models.quantization import Quantization
from ...models.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Subject:
    """What a job or one of its cells measures: each combination of a model, a quantization and a context.

    `contexts`: tokens in the window before tg begins. `tests`: by llama-bench's names, such as pp512. `tasks`: those of a quality
    measurement.
    """

    models: tuple[str, ...]
    quantizations: tuple[Quantization, ...] = (Quantization.NONE,)
    contexts: tuple[int, ...] = (0,)
    tests: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: ModelSpec, *, context_tokens: int = 0, tasks: tuple[str, ...] = ()) -> Subject:
        return cls((spec.name,), (spec.quantization,), (context_tokens,), tasks=tasks)

    @property
    def has_combinations(self) -> bool:
        return len(self.models) * len(self.quantizations) * len(self.contexts) > 1

    @property
    def title(self) -> str:
        """A title in English, for logs and errors; jobs of one kind and title do the same work."""
        contexts = f"{', '.join(f'{each:,}' for each in self.contexts)} tokens" if any(self.contexts) else ""
        groups = filter(None, (", ".join(self.models), ", ".join(self.quantizations), contexts))
        title = ", ".join([(" x " if self.has_combinations else ", ").join(groups), *([" ".join(self.tests)] if self.tests else [])])
        return f"{title}: {', '.join(self.tasks)}" if self.tasks else title


def subject_facts(subject: Subject, **more: object) -> str:
    """Return the facts of a job: its subject, and `more` that it needs to be started again."""
    return json.dumps({"subject": asdict(subject), **more})
