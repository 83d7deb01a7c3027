"""What the Models tab shows for a session, as a value for each component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError, LoadOptions, ModelSpec, Quantization
from engine.errors import ModelAccessDenied
from engine.library import FoundModel, choice_of
from engine.models import Verdict
from engine.pipelines import task_catalog

from ..shared.context import Context
from ..shared.errors import sentence
from ..shared.html import disk_size, quantization_name
from ..shared.language import number, text
from ..tryit.box import tryit_values
from . import view
from .actions import needs_token, with_token
from .adapters_view import adapters_html, tasks_html
from .operation import operation_values
from .parts import ModelsTab
from .remote import remote_values
from .session import CONTEXTS, TASKS, ModelsSession


def is_same_source(model: FoundModel, spec: ModelSpec, current: tuple[ModelSpec, LoadOptions] | None) -> bool:
    """Whether the loaded model has the adapter that was found, or the model is found without one."""
    others = current[1].adapters if current else ()
    return model.spec().task == spec.task and (model.adapter is None or model.adapter.source in (spec.adapter, *others))


@dataclass(frozen=True)
class PrimaryButton:
    """The large button: its action, the action's value, and its label. Without an action the button is hidden."""

    action: str = ""
    value: str = ""
    label: str = ""


class TabContent:
    """The content of the tab for one session, as it is now."""

    def __init__(self, context: Context, session: ModelsSession) -> None:
        self._context = context
        self._library, self._engine, self._session, self._language = context.library, context.engine, session, context.language
        self._visitor = with_token(context, session).visitor
        self._status = self._engine.status()
        model = session.model
        self._fit = self._library.fit(model, session.context, session.visitors, session.device) if model else None
        spec = self._engine.spec
        self._is_base_loaded = bool(model and spec and spec.model == model.spec_model and self._status.state in ("ready", "asleep"))
        self._is_loaded = self._is_base_loaded and bool(model and spec and is_same_source(model, spec, self._engine.current))
        self._is_same = self._is_loaded and spec is not None and spec.quantization is session.quantization
        self._jobs = self._library.visible_jobs(self._visitor)

    def values(self, models: ModelsTab) -> dict[gr.blocks.Block, Any]:
        """Return a value for each component except the field for the token, which only its own handler clears."""
        detail, model = models.detail, self._session.model
        selected = model.spec_model if model else ""
        card = model.listing.card if model and model.listing else ""
        return {
            models.machine: view.machine_html(self._library.machine(), self._language), models.listing: self._list(selected),
            models.disk: self._disk(), **remote_values(self._context, self._session, models.remote),
            **operation_values(self._context, self._session, models.operation),
            detail.about: self._about(), detail.problem: self._problem(),
            detail.token_box: gr.update(visible=needs_token(self._session)), **self._load_values(models),
            detail.card_box: gr.update(visible=bool(card)), detail.card: card, **tryit_values(self._context, detail.tryit)}

    def _load_values(self, models: ModelsTab) -> dict[gr.blocks.Block, Any]:
        load, session, primary = models.detail.load, self._session, self.primary
        chats = session.model is None or not session.model.tasks
        can_save = self._is_same and session.quantization is not Quantization.NONE and session.model is not None \
            and session.model.where != "builtin"
        return {
            load.box: gr.update(visible=bool(primary.action or self._fit)),
            load.quantization: gr.update(choices=self._quantizations(), value=session.quantization.value, visible=chats),
            load.context: gr.update(choices=self._contexts(), value=session.context, visible=chats),
            load.visitors: gr.update(value=session.visitors, visible=chats),
            load.device: self._devices(),
            load.primary: gr.update(value=primary.label, visible=bool(primary.action),
                                    variant="stop" if primary.action == "cancel" else "primary"),
            load.save: gr.update(visible=can_save), load.unload: gr.update(visible=self._is_loaded)}

    def _about(self) -> str:
        session, language = self._session, self._language
        if session.model is None:
            return view.nothing_chosen_html(language)
        names = self._status.adapters if self._is_base_loaded and self._library.permissions.is_operator(self._visitor) else ()
        return view.model_html(session.model, self._fit, session.quantization, self._is_loaded, language, self._status.released) + \
            adapters_html(names, language)

    def _list(self, selected: str) -> str:
        session = self._session
        if session.query is not None:
            return view.found_html(session.found, session.has_more, selected, self._language)
        if session.use == TASKS:
            return view.uses_html(session.use, self._language) + tasks_html(task_catalog(), selected, self._language)
        return view.recommended_html(self._library.recommended(use=session.use, language=self._language), session.use,
                                     session.num_recommended, selected, self._language)

    def _disk(self) -> str:
        spec = self._engine.spec
        return view.disk_html(self._library.on_disk(), self._library.saved(), spec.model if spec else "",
                              may_delete=self._library.permissions.is_operator(self._visitor), language=self._language)

    def _quantizations(self) -> list[tuple[str, str]]:
        held = {choice.quantization: choice.held for choice in view.distinct(self._fit, self._session.quantization)} if self._fit else {}
        return [(quantization_name(choice.quantization, self._language, held.get(choice.quantization, Quantization.NONE)),
                 choice.quantization.value) for choice in self._engine.quantization_choices()
                if choice.is_supported and (not held or choice.quantization in held)]

    def _devices(self) -> Any:
        """Hidden if there is only one device."""
        devices = self._library.machine().devices
        return gr.update(choices=list(devices), value=self._session.device or devices[0], visible=len(devices) > 1)

    def _contexts(self) -> list[tuple[str, int]]:
        shape = self._session.model.shape if self._session.model else None
        known = {each for each in CONTEXTS if shape is None or each <= shape.max_window} | {self._session.context}
        return [(number(self._language, each), each) for each in sorted(known)]

    @property
    def primary(self) -> PrimaryButton:
        model, language = self._session.model, self._language
        if model is None or self._status.state in ("loading", "unloading"):
            return PrimaryButton()
        running = next((job for job in self._jobs if job.kind == "download" and job.title == model.source and not job.is_over), None)
        if running is not None:
            return PrimaryButton("cancel", str(running.id), text(language, "load.cancel"))
        if model.can_load_as(self._session.quantization):
            return self._load_button()
        is_closed = needs_token(self._session) and model.problem is not None
        if not model.listings or any(listing.obstacle for listing in model.listings) or is_closed:
            return PrimaryButton()
        left = max(0, model.download_bytes - model.partial_bytes)
        key = "load.resume" if model.partial_bytes else "load.download"
        return PrimaryButton("download", "", text(language, key, size=disk_size(language, left)))

    def _load_button(self) -> PrimaryButton:
        if self._is_too_large():
            return PrimaryButton()      # the message shown offers remedies, one of which is to load it anyway
        model = self._session.model
        if model and model.adapter and self._is_base_loaded and not self._is_loaded and self._has_loaded_quantization():
            return PrimaryButton("load", "", text(self._language, "load.add"))
        key = "load.again" if self._is_same else "load.swap" if self._status.state in ("ready", "asleep") else "load.load"
        return PrimaryButton("load", "", text(self._language, key))

    def _has_loaded_quantization(self) -> bool:
        spec = self._engine.spec
        return spec is not None and spec.quantization is self._session.quantization

    def _problem(self) -> str:
        session, model = self._session, self._session.model
        error = session.trouble or self._failed_load()
        if model is None:
            return view.problem_html(sentence(error, self._language), (), self._language) if error else ""
        is_too_large = error is None and self._is_too_large()
        remedies = self._library.remedies(error if isinstance(error, EngineError) else None, model, session.quantization,
                                          session.context, session.visitors, session.device) if error or is_too_large else ()
        message = sentence(error, self._language) if error else text(self._language, "load.too_large") if is_too_large else ""
        licence_url = error.licence_url if isinstance(error, ModelAccessDenied) else ""
        return view.problem_html(message, remedies, self._language, licence_url)

    def _is_too_large(self) -> bool:
        choice = choice_of(self._fit, self._session.quantization) if self._fit else None
        return choice is not None and choice.fit.verdict is Verdict.TOO_LARGE

    def _failed_load(self) -> Exception | None:
        """The error of the latest load, if it was a load of this model with the options that are chosen now."""
        load, session = self._engine.latest_load, self._session
        if load is None or session.model is None or self._status.state == "loading":
            return None
        chosen = session.options()
        if load.spec != session.model.spec(session.quantization) or \
                (load.options.context_tokens, load.options.visitors) != (chosen.context_tokens, chosen.visitors):
            return None
        return load.error if isinstance(load.error, Exception) else None
