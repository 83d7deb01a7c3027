"""Actions of the Models tab, one function for each button. Each changes the page's session.

The engine's library decides what a visitor may do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine import EngineError, Quantization, Secret
from engine.errors import InvalidRequest, ModelAccessDenied, ModelNotFound, TokenRejected
from engine.hub import HubQuery
from engine.library import FoundModel
from engine.models import may_be_repo, names_a_model

from ..shared.actions import Actions, Click, whole_number
from ..shared.context import Context
from ..shared.errors import PageError
from .session import FIRST_RECOMMENDED, USES, ModelsSession

MAX_TYPED, MAX_TOKEN, ALL_RECOMMENDED = 300, 200, 1000


def _show_problem(context: Context, session: ModelsSession, error: Exception) -> None:
    session.problem = error


actions: Actions[ModelsSession, None] = Actions(on_error=_show_problem, max_value_chars=MAX_TYPED)


def perform(context: Context, session: ModelsSession, name: Any, value: Any = "") -> None:
    """Run an action. An error is shown with the model that it is about."""
    session.problem = None
    actions.perform(with_token(context, session), session, name, value=value)


def with_token(context: Context, session: ModelsSession) -> Context:
    """Return the context with the Hugging Face token that was entered on this page, if there is one."""
    return replace(context, visitor=replace(context.visitor, token=session.token or context.visitor.token))


def _model(session: ModelsSession) -> FoundModel:
    if session.model is None:
        raise PageError("error.gone")
    return session.model


# --- finding ---

def search(context: Context, session: ModelsSession, typed: str, query: HubQuery) -> None:
    """Open the model that `typed` names by its repository, address or folder. Search the hub for any other text.

    A repository name that the hub does not have is searched for as well. Without text and filters, show the recommended models.
    """
    context, typed = with_token(context, session), typed.strip()[:MAX_TYPED]
    session.problem, session.asked = None, typed
    if not typed and query == HubQuery():
        session.query, session.found = None, []
        return
    if names_a_model(typed):
        if not session.found:       # an earlier search found nothing, which is shown no longer
            session.query = None
        session.problem = _failure(lambda: _open(context, session, typed))
        if not isinstance(session.problem, (ModelNotFound, InvalidRequest)) or not may_be_repo(typed):
            return
    missing, session.query, session.found = session.problem, replace(query, text=typed), []
    session.problem = _failure(lambda: _search_more(context, session)) or missing


def _failure(step: Callable[[], None]) -> EngineError | None:
    try:
        step()
    except EngineError as error:
        return error
    return None


def _open(context: Context, session: ModelsSession, typed: str, revision: str | None = None) -> None:
    """Show one model. If it cannot be found, the model that was shown before is removed."""
    try:
        model = context.library.find(typed, context.visitor, revision)
    except EngineError:
        if session.model is not None and session.model.source != typed:
            session.model = None
        raise
    session.model, session.problem = model, None
    session.quantization = _recommended_quantization(context, session, model)


def _recommended_quantization(context: Context, session: ModelsSession, model: FoundModel) -> Quantization:
    """Return the highest precision that fits comfortably, else the highest that barely fits, else the lowest.

    If only quantized copies of the model are on disk, only their precisions count.
    """
    fit = context.library.fit(model, session.context, session.visitors, session.device)
    is_only_saved = model.saved and not model.can_load
    choices = [choice for choice in fit.choices if choice.is_supported
               and (not is_only_saved or choice.quantization in model.saved)] if fit else []
    comfortable = [choice.quantization for choice in choices if choice.fit.verdict.name == "FITS"]
    possible = [choice.quantization for choice in choices if choice.fit.verdict.name == "TIGHT"]
    return next(iter(comfortable or possible or [choices[-1].quantization if choices else Quantization.NONE]))


@actions("choose")
def _choose(context: Context, session: ModelsSession, click: Click) -> None:
    session.asked = click.value
    _open(context, session, click.value)


@actions("more")
def _more(context: Context, session: ModelsSession, click: Click) -> None:
    _search_more(context, session)


def _search_more(context: Context, session: ModelsSession) -> None:
    if session.query is None:
        raise PageError("error.gone")
    query = session.query if not session.found else replace(session.query, page=session.query.page + 1)
    page = context.library.search(query, context.visitor)
    session.query, session.found, session.has_more = query, [*session.found, *page.models], page.has_more


@actions("recommended")
def _recommended(context: Context, session: ModelsSession, click: Click) -> None:
    session.query, session.found, session.num_recommended = None, [], FIRST_RECOMMENDED


@actions("all")
def _all(context: Context, session: ModelsSession, click: Click) -> None:
    session.num_recommended = ALL_RECOMMENDED


@actions("use")
def _use(context: Context, session: ModelsSession, click: Click) -> None:
    if click.value in USES:
        session.use = click.value


def use_token(context: Context, session: ModelsSession, typed: str) -> None:
    """Keep a Hugging Face token for this page, in memory only. An empty one deletes it."""
    typed = typed.strip()
    if len(typed) > MAX_TOKEN or any(char.isspace() for char in typed):
        session.problem = PageError("token.bad")
        return
    session.token = Secret(typed)
    perform(context, session, "again")


@actions("again")
def _again(context: Context, session: ModelsSession, click: Click) -> None:
    _try_again(context, session)


def _try_again(context: Context, session: ModelsSession) -> None:
    """Repeat the search and open the model again, with a new token or after the hub failed."""
    model, is_empty = session.model, session.query is not None and not session.found
    if model is None and not names_a_model(session.asked) and not is_empty:
        raise PageError("error.gone")
    if is_empty:
        _search_more(context, session)
    if model is not None:
        _open(context, session, model.source, model.listing.revision if model.listing and not model.adapter else None)
    elif names_a_model(session.asked):
        _open(context, session, session.asked)


# --- downloading and loading ---

@actions("download")
def _download(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.download(_model(session), context.visitor)


@actions("load")
def _load(context: Context, session: ModelsSession, click: Click) -> None:
    _start_load(context, session)


def _start_load(context: Context, session: ModelsSession, *, is_forced: bool = False) -> None:
    context.library.load(_model(session), session.quantization, session.options(is_forced=is_forced), context.visitor)


@actions("task")
def _task(context: Context, session: ModelsSession, click: Click) -> None:
    """Use the model for another of its tasks."""
    model = _model(session)
    wanted = tuple(task for task in model.tasks if task == click.value)
    session.model = replace(model, tasks=(*wanted, *(task for task in model.tasks if task not in wanted)))


@actions("remove-adapter")
def _remove_adapter(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.remove_adapter(click.value, context.visitor)


@actions("unload")
def _unload(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.unload(context.visitor)


@actions("use-remote")
def _use_remote(context: Context, session: ModelsSession, click: Click) -> None:
    session.server_problem = None
    context.library.remote.use(click.value, context.visitor)


@actions("forget-remote")
def _forget_remote(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.remote.forget(click.value, context.visitor)


@actions("drain", "resume-all")
def _drain(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.operation.drain(click.name == "drain", context.visitor)


@actions("delete-key")
def _delete_key(context: Context, session: ModelsSession, click: Click) -> None:
    session.made_key = ""
    context.library.operation.delete_key(click.value, context.visitor)


@actions("save")
def _save(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.save_quantized(context.visitor)


@actions("cancel")
def _cancel(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.cancel(whole_number(click.value), context.visitor)


@actions("resume")
def _resume(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.resume(whole_number(click.value), context.visitor)


@actions("hide")
def _hide(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.hide(whole_number(click.value), context.visitor)


@actions("delete")
def _delete(context: Context, session: ModelsSession, click: Click) -> None:
    context.library.delete(click.value, context.visitor)
    _refresh(context, session)


@actions("delete-saved")
def _delete_saved(context: Context, session: ModelsSession, click: Click) -> None:
    quantization, _, model = click.value.partition(" ")
    context.library.delete_saved(model, Quantization.parse(quantization), context.visitor)
    _refresh(context, session)


def _refresh(context: Context, session: ModelsSession) -> None:
    session.model = context.library.refreshed(session.model) if session.model else None


@actions("remedy")
def _remedy(context: Context, session: ModelsSession, click: Click) -> None:
    kind, _, detail = click.value.partition(" ")
    match kind:
        case "quantize":
            session.quantization = Quantization.parse(detail)
        case "context":
            session.context_tokens = whole_number(detail)
        case "sibling":
            session.asked = detail
            _open(context, session, detail)
        case "revision":
            _open(context, session, _model(session).spec_model, detail)
        case "force":
            _start_load(context, session, is_forced=True)
        case "retry":
            _try_again(context, session)
        case _:
            raise PageError("error.gone")


def needs_token(session: ModelsSession) -> bool:
    """Whether to show the field for a token. For private models the hub answers without one that they do not exist."""
    trouble = session.trouble
    is_hidden = isinstance(trouble, ModelNotFound) and session.model is None and may_be_repo(trouble.model)
    return bool(session.token) or is_hidden or isinstance(trouble, (ModelAccessDenied, TokenRejected))
