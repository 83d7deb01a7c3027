"""What the Models tab shows of a session, output by output, and what its one large button does."""

from __future__ import annotations

from typing import Any

import gradio as gr

from engine import EngineError, Quantization, Status
from engine.errors import ModelAccessDenied
from engine.library import choice_of
from engine.models import Verdict

from ..shared.context import PageBuilder
from ..shared.errors import sentence
from ..shared.html import disk_size, quantization_name
from ..shared.language import number, text
from . import actions, view
from .actions import Counter
from .session import CONTEXTS, ModelsSession


class Shelf:
    """The tab as one session sees it now, output by output."""

    def __init__(self, shared: PageBuilder, session: ModelsSession, counter: Counter, language: str) -> None:
        self._library, self._engine, self._session, self._language = shared.library, shared.engine, session, language
        self._visitor = counter.of(session)
        self._status: Status = shared.engine.status()
        model = session.model
        self._fit = self._library.fit(model, session.context, session.visitors, session.device) if model else None
        spec = self._engine.spec
        self._is_loaded = bool(model and spec and spec.model == model.spec_model and self._status.state in ("ready", "asleep"))
        self._is_same = self._is_loaded and spec is not None and spec.quantization is session.quantization
        self._jobs = self._library.visible_jobs(self._visitor)

    def row(self) -> list[Any]:
        session, language, model = self._session, self._language, self._session.model
        selected = model.spec_model if model else ""
        about = view.model_html(
            model, self._fit, session.quantization, self._is_loaded, language, self._status.released) if model else \
            view.nothing_chosen_html(language)
        card = model.listing.card if model and model.listing else ""
        name, _, label = self.primary
        return [
            view.machine_html(self._library.machine(), language), self._list(selected), self._disk(selected), about, self._problem(),
            gr.update(visible=actions.needs_token(session)), gr.skip(), gr.update(visible=bool(name or self._fit)),
            gr.update(choices=self._quantizations(), value=session.quantization.value), gr.update(
                choices=self._contexts(), value=session.context),
            session.visitors, self._devices(), gr.update(
                value=label, visible=bool(name), variant="stop" if name == "cancel" else "primary"),
            gr.update(visible=self._is_same and session.quantization is not Quantization.NONE and selected != "builtin"),
            gr.update(visible=self._is_loaded), gr.update(visible=bool(card)), card]

    def _list(self, selected: str) -> str:
        session = self._session
        if session.query is not None:
            return view.found_html(session.found, session.has_more, selected, self._language)
        return view.recommended_html(self._library.recommended(), session.num_recommended, selected, self._language)

    def _disk(self, selected: str) -> str:
        spec = self._engine.spec
        return view.disk_html(self._library.on_disk(), self._library.saved(), spec.model if spec else "",
                                     may_delete=self._library.permissions.is_operator(self._visitor), language=self._language)

    def _quantizations(self) -> list[tuple[str, str]]:
        return [(quantization_name(choice.quantization, self._language), choice.quantization.value)
                for choice in self._engine.quantization_choices() if choice.is_supported]

    def _devices(self) -> Any:
        """A choice only where there is one."""
        devices = self._library.machine().devices
        return gr.update(choices=list(devices), value=self._session.device or devices[0], visible=len(devices) > 1)

    def _contexts(self) -> list[tuple[str, int]]:
        shape = self._session.model.shape if self._session.model else None
        known = {each for each in CONTEXTS if shape is None or each <= shape.max_window} | {self._session.context}
        return [(number(self._language, each), each) for each in sorted(known)]

    @property
    def primary(self) -> tuple[str, str, str]:
        """What the one large button does: an act's name ("" for none), its value, and the words on it."""
        model, language = self._session.model, self._language
        if model is None or self._status.state in ("loading", "unloading"):
            return "", "", ""
        running = next((job for job in self._jobs if job.kind == "download" and job.title == model.spec_model and not job.is_over), None)
        if running is not None:
            return "cancel", str(running.id), text(language, "load.cancel")
        if model.can_load_as(self._session.quantization):
            return self._load_act()
        is_closed = actions.needs_token(self._session) and model.problem is not None
        if model.listing is None or model.listing.obstacle or is_closed:
            return "", "", ""
        left = max(0, model.download_bytes - model.partial_bytes)
        key = "load.resume" if model.partial_bytes else "load.download"
        return "download", "", text(language, key, size=disk_size(language, left))

    def _load_act(self) -> tuple[str, str, str]:
        choice = choice_of(self._fit, self._session.quantization) if self._fit else None
        if choice is not None and choice.fit.verdict is Verdict.TOO_LARGE:
            return "", "", ""       # the problem beside it offers what helps, and to try it all the same
        key = "load.again" if self._is_same else "load.swap" if self._status.state in ("ready", "asleep") else "load.load"
        return "load", "", text(self._language, key)

    def _problem(self) -> str:
        session, model = self._session, self._session.model
        error = session.trouble or self._failed_load()
        if model is None:
            return view.problem_html(sentence(error, self._language), (), self._language) if error else ""
        is_too_large = error is None and self._is_too_large()
        found = self._library.remedies(error if isinstance(error, EngineError) else None, model, session.quantization,
                                       session.context, session.visitors, session.device) if error or is_too_large else ()
        words = sentence(error, self._language) if error else text(self._language, "load.too_large") if is_too_large else ""
        licence_url = error.licence_url if isinstance(error, ModelAccessDenied) else ""
        return view.problem_html(words, found, self._language, licence_url)

    def _is_too_large(self) -> bool:
        choice = choice_of(self._fit, self._session.quantization) if self._fit else None
        return choice is not None and choice.fit.verdict is Verdict.TOO_LARGE

    def _failed_load(self) -> Exception | None:
        """Why this model could not be loaded when that was tried last, in the same way as is chosen now."""
        load, session = self._engine.latest_load, self._session
        if load is None or session.model is None or self._status.state == "loading":
            return None
        chosen = session.options()
        if load.spec != session.model.spec(session.quantization) or \
                (load.options.context_tokens, load.options.visitors) != (chosen.context_tokens, chosen.visitors):
            return None
        return load.error if isinstance(load.error, Exception) else None
