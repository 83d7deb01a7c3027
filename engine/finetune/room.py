"""Makes room for a run whose memory is that of the chat model, and loads that model again when the run is over."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..background import StopSignal
from ..errors import EngineError, StorageError
from ..models.spec import LoadOptions, ModelSpec
from ..runtime.admission import Reservation
from ..storage import strict
from ..storage.finetune_runs import FineTuneStore
from .process import is_training

if TYPE_CHECKING:
    from ..runtime.engine import Engine

log = logging.getLogger(__name__)
WHY = "a model is being fine-tuned, which needs the memory of the chat model"


@dataclass(frozen=True, slots=True)
class ChatModel:
    spec: ModelSpec
    options: LoadOptions


class Room:
    """`chat_model`: JSON of the model that an earlier process of the app unloaded for this run, or ""."""

    def __init__(self, engine: Engine, store: FineTuneStore, run_id: str, chat_model: str) -> None:
        self._engine, self._store, self._run_id = engine, store, run_id
        self._reservation = Reservation(WHY, "refuse")
        self._before = strict.read(ChatModel, json.loads(chat_model), "the run") if chat_model else None
        if self._before is not None:        # its place is still taken
            engine.admission.reserve(self._reservation)

    def make(self, stop: StopSignal) -> None:
        """Unload the chat model after its running replies (bounded). Messages and loads are refused from then on, with the reason."""
        admission = self._engine.admission
        admission.wait_until(lambda: admission.reserve(self._reservation), stop)
        admission.wait_until(lambda: admission.is_settled, stop)
        current = self._engine.current
        if stop.is_set() or (current is not None and current[0].is_remote):
            admission.release(self._reservation)
        if stop.is_set() or current is None or current[0].is_remote:        # without a model none may be loaded
            return
        self._before = ChatModel(*current)
        self._store.set_chat_model(self._run_id, json.dumps(asdict(self._before)))       # also for the next process of the app
        self._engine.unload(reservation=self._reservation)

    def give_back(self) -> None:
        """Load the model again, unless another one is loaded by now. Its failure is reported by the engine's status."""
        try:
            if self._before is not None and self._engine.current is None:
                for _ in self._engine.load(self._before.spec, self._before.options, reservation=self._reservation):
                    pass
        except EngineError as error:
            log.error("The model from before a fine-tuning run could not be loaded again: %s", error)
        finally:
            self.release()

    def release(self) -> None:
        self._engine.admission.release(self._reservation)


def is_room_taken(engine: Engine) -> bool:
    """Whether a run still trains in the place of the chat model, which an earlier process of the app unloaded for it."""
    try:
        return any(row.chat_model and is_training(row) for row in FineTuneStore(engine.database).active())
    except StorageError as error:       # the page reports it
        log.error("Fine-tuning runs could not be read: %s", error)
        return False
