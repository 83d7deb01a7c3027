"""Fine-tuning runs: estimate, start, follow, stop, resume, and what is done with a result. Each runs in a process of its own."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..library.permissions import Visitor
from ..settings import Secret
from .plan import FineTunePlan
from .run import Estimate, Run

if TYPE_CHECKING:
    from ..library.library import Library
    from ..runtime.engine import Engine
    from .tables import Tables


class FineTunes:
    """Safe to use from many threads. A run of another owner does not exist: FineTuneNotFound. Every method may raise StorageError."""

    def __init__(self, engine: Engine, library: Library, tables: Tables) -> None:
        """Runs of an earlier process of the app that still train are followed again."""
        raise NotImplementedError

    @property
    def refusal(self) -> str:
        """Why nobody can train here ("ZeroGPU"), said before anything is filled in; "" where training is possible."""
        raise NotImplementedError

    def estimate(self, plan: FineTunePlan, visitor: Visitor) -> Estimate:
        """Memory, time and disk of a run. Reads the table and the model's headers, loads nothing.

        Raises InvalidRequest (also with the row and column of an example), ModelNotFound and the errors of the hub, UnsupportedModel.
        """
        raise NotImplementedError

    def start(self, plan: FineTunePlan, visitor: Visitor) -> Run:
        """Start a run in the background, also one with the state "preparing".

        Raises NotPermitted (public page without a name, caps), NotOnZeroGpu, EngineBusy (another run is in progress), NotEnoughMemory,
        DiskFull, and what `estimate` raises.
        """
        raise NotImplementedError

    def list(self, visitor: Visitor) -> tuple[Run, ...]:
        """Own runs, newest first, without points and log."""
        raise NotImplementedError

    def get(self, run_id: str, visitor: Visitor) -> Run:
        raise NotImplementedError

    def follow(self, run_id: str, visitor: Visitor) -> Generator[Run, None, None]:
        """Yield the run now, after every change and at least every 0.1 s, and when it is over. It goes on if the generator is closed."""
        raise NotImplementedError

    def stop(self, run_id: str, visitor: Visitor) -> None:
        """Ask it to save a checkpoint and stop. A run that is over stays as it is."""
        raise NotImplementedError

    def resume(self, run_id: str, visitor: Visitor) -> Run:
        """Go on from the newest checkpoint, as if it had not stopped; from the beginning without one. Raises what `start` raises."""
        raise NotImplementedError

    def delete(self, run_id: str, visitor: Visitor) -> None:
        """Delete a run and its files. Raises EngineBusy while it is in progress."""
        raise NotImplementedError

    def folder(self, run_id: str, visitor: Visitor) -> Path:
        """The folder of the result: a model, or an adapter with its adapter_config.json. Raises InvalidRequest without a result."""
        raise NotImplementedError

    def card(self, run_id: str, visitor: Visitor) -> str:
        """The model card, in Markdown with front matter. Raises InvalidRequest without a result."""
        raise NotImplementedError

    def script(self, run_id: str, visitor: Visitor) -> str:
        """A Python program that repeats the run with transformers and peft alone."""
        raise NotImplementedError

    def script_of(self, plan: FineTunePlan) -> str:
        """The same before a run, where it cannot be started here (ZeroGPU)."""
        raise NotImplementedError

    def merge(self, run_id: str, visitor: Visitor) -> Path:
        """Merge a LoRA result into its base (for QLoRA the unquantized one) and return the folder of the merged model. Blocking.

        The folder of a full result as it is. Raises InvalidRequest, NotEnoughMemory and DiskFull.
        """
        raise NotImplementedError

    def export(self, run_id: str, visitor: Visitor, *, is_merged: bool = False) -> Path:
        """A zip file with the result, or with the merged model. Raises what `merge` raises."""
        raise NotImplementedError

    def push(self, run_id: str, repo: str, token: Secret, visitor: Visitor, *, is_private: bool = True, is_merged: bool = False) -> str:
        """Upload the result to the Hub with this token, and return its address. Blocking.

        Raises InvalidRequest, TokenRejected, ModelAccessDenied and HubUnreachable.
        """
        raise NotImplementedError

    def use(self, run_id: str, visitor: Visitor) -> str:
        """Load the base, if another model is loaded, and add the adapter; a full result is loaded itself. Blocking.

        Returns the adapter's name for GenerationOptions.adapter; "" for a full result.
        """
        raise NotImplementedError

    def answer(self, run_id: str, inputs: Sequence[str], visitor: Visitor) -> object:
        """The tuned model's result for one input: (text,), (text, second text) or (question, context)."""
        raise NotImplementedError
