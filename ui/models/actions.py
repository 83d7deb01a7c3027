"""What the Models tab does: one function for each button, found by its name. Each changes the page's session.

Nothing that comes from the page is trusted: what may be done is decided in the engine's library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from engine import EngineError, Library, Quantization, Secret
from engine.errors import InvalidRequest, ModelAccessDenied, ModelNotFound, TokenRejected
from engine.hub import HubModel, HubQuery
from engine.library import FoundModel, Visitor
from engine.models import may_be_repo, names_a_model

from ..shared.errors import PageError
from .session import FIRST_RECOMMENDED, ModelsSession

MAX_TYPED, MAX_TOKEN, ALL_RECOMMENDED = 300, 200, 1000


@dataclass(frozen=True)
class Counter:
    """What every act works with, and for whom."""

    library: Library
    visitor: Visitor

    def of(self, session: ModelsSession) -> Visitor:
        return replace(self.visitor, token=session.token or self.visitor.token)


Act = Callable[[Counter, ModelsSession, str], None]
_ACTS: dict[str, Act] = {}


def perform(counter: Counter, session: ModelsSession, name: Any, value: Any) -> None:
    """Do what a button asks for; what goes wrong is shown with the model it is about."""
    session.problem = None
    try:
        act = _ACTS.get(str(name))
        if act is None:
            raise PageError("error.gone")
        act(counter, session, str(value or "")[:MAX_TYPED])
    except (PageError, EngineError) as error:
        session.problem = error


def _act(name: str) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        _ACTS[name] = act
        return act
    return register


def _number(value: str) -> int:
    if not value.isdecimal() or len(value) > 18:
        raise PageError("error.gone")
    return int(value)


def _model(session: ModelsSession) -> FoundModel:
    if session.model is None:
        raise PageError("error.gone")
    return session.model


# --- finding ---

def search(counter: Counter, session: ModelsSession, typed: str, query: HubQuery) -> None:
    """A name, an address or a folder opens that model; anything else is looked for on the hub. Nothing typed: what is recommended."""
    typed = typed.strip()[:MAX_TYPED]
    session.problem, session.asked = None, typed
    if not typed and query == HubQuery():
        session.query, session.found = None, []
        return
    if names_a_model(typed):
        if not session.found:       # that nothing was found is not about this one
            session.query = None
        session.problem = _failure(lambda: _open(counter, session, typed))
        if not isinstance(session.problem, (ModelNotFound, InvalidRequest)) or not may_be_repo(typed):
            return
    missing, session.query, session.found = session.problem, replace(query, text=typed), []
    session.problem = _failure(lambda: _more(counter, session, "")) or missing


def _failure(act: Callable[[], None]) -> EngineError | None:
    try:
        act()
    except EngineError as error:
        return error
    return None


def _open(counter: Counter, session: ModelsSession, typed: str, revision: str | None = None) -> None:
    """Look at one model. One that cannot be found takes the place of the model before all the same."""
    try:
        model = counter.library.find(typed, counter.of(session), revision)
    except EngineError:
        if session.model is not None and session.model.spec_model != typed:
            session.model = None
        raise
    session.model, session.problem = model, None
    session.quantization = _advised(counter, session, model)


def _advised(counter: Counter, session: ModelsSession, model: FoundModel) -> Quantization:
    """The weakest quantization that fits comfortably, of those that were kept where nothing else is here; else the strongest."""
    fit = counter.library.fit(model, session.context, session.visitors, session.device)
    is_only_kept = model.saved and not model.can_load
    choices = [choice for choice in fit.choices if choice.is_supported
               and (not is_only_kept or choice.quantization in model.saved)] if fit else []
    comfortable = [choice.quantization for choice in choices if choice.fit.verdict.name == "FITS"]
    possible = [choice.quantization for choice in choices if choice.fit.verdict.name == "TIGHT"]
    return next(iter(comfortable or possible or [choices[-1].quantization if choices else Quantization.NONE]))


@_act("choose")
def _choose(counter: Counter, session: ModelsSession, value: str) -> None:
    session.asked = value
    _open(counter, session, value)


@_act("more")
def _more(counter: Counter, session: ModelsSession, value: str) -> None:
    if session.query is None:
        raise PageError("error.gone")
    query = session.query if not session.found else replace(session.query, page=session.query.page + 1)
    page = counter.library.search(query, counter.of(session))
    known: list[HubModel] = session.found
    session.query, session.found, session.has_more = query, [*known, *page.models], page.has_more


@_act("recommended")
def _recommended(counter: Counter, session: ModelsSession, value: str) -> None:
    session.query, session.found, session.num_recommended = None, [], FIRST_RECOMMENDED


@_act("all")
def _all(counter: Counter, session: ModelsSession, value: str) -> None:
    session.num_recommended = ALL_RECOMMENDED


def use_token(counter: Counter, session: ModelsSession, typed: str) -> None:
    """Kept for this page only, in memory; an empty one is forgotten."""
    typed = typed.strip()
    if len(typed) > MAX_TOKEN or any(char.isspace() for char in typed):
        session.problem = PageError("token.bad")
        return
    session.token = Secret(typed)
    perform(counter, session, "again", "")


@_act("again")
def _again(counter: Counter, session: ModelsSession, value: str) -> None:
    """The same search and the same model once more: with another token, or after the hub failed."""
    model, is_empty = session.model, session.query is not None and not session.found
    if model is None and not names_a_model(session.asked) and not is_empty:
        raise PageError("error.gone")
    if is_empty:
        _more(counter, session, "")
    if model is not None:
        _open(counter, session, model.spec_model, model.listing.revision if model.listing else None)
    elif names_a_model(session.asked):
        _open(counter, session, session.asked)


# --- downloading and loading ---

@_act("download")
def _download(counter: Counter, session: ModelsSession, value: str) -> None:
    counter.library.download(_model(session), counter.of(session))


@_act("load")
def _load(counter: Counter, session: ModelsSession, value: str) -> None:
    counter.library.load(_model(session), session.quantization, session.options(is_forced=value == "force"), counter.of(session))


@_act("unload")
def _unload(counter: Counter, session: ModelsSession, value: str) -> None:
    counter.library.unload(counter.of(session))


@_act("save")
def _save(counter: Counter, session: ModelsSession, value: str) -> None:
    counter.library.save_quantized(counter.of(session))


@_act("cancel")
def _cancel(counter: Counter, session: ModelsSession, value: str) -> None:
    counter.library.cancel(_number(value), counter.of(session))


@_act("resume")
def _resume(counter: Counter, session: ModelsSession, value: str) -> None:
    counter.library.resume(_number(value), counter.of(session))


@_act("hide")
def _hide(counter: Counter, session: ModelsSession, value: str) -> None:
    counter.library.hide(_number(value), counter.of(session))


@_act("delete")
def _delete(counter: Counter, session: ModelsSession, value: str) -> None:
    counter.library.delete(value, counter.of(session))
    _refresh(counter, session)


@_act("delete-saved")
def _delete_saved(counter: Counter, session: ModelsSession, value: str) -> None:
    quantization, _, model = value.partition(" ")
    counter.library.delete_saved(model, Quantization.parse(quantization), counter.of(session))
    _refresh(counter, session)


def _refresh(counter: Counter, session: ModelsSession) -> None:
    session.model = counter.library.refreshed(session.model) if session.model else None


@_act("remedy")
def _remedy(counter: Counter, session: ModelsSession, value: str) -> None:
    kind, _, detail = value.partition(" ")
    match kind:
        case "quantize":
            session.quantization = Quantization.parse(detail)
        case "context":
            session.context_tokens = _number(detail)
        case "sibling":
            _choose(counter, session, detail)
        case "revision":
            _open(counter, session, _model(session).spec_model, detail)
        case "force":
            _load(counter, session, "force")
        case "retry":
            _again(counter, session, "")
        case _:
            raise PageError("error.gone")


def needs_token(session: ModelsSession) -> bool:
    """Whether a token may help: the hub hides private models from everybody else."""
    trouble = session.trouble
    is_hidden = isinstance(trouble, ModelNotFound) and session.model is None and may_be_repo(trouble.model)
    return bool(session.token) or is_hidden or isinstance(trouble, (ModelAccessDenied, TokenRejected))
