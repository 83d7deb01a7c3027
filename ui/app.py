"""The page as a whole: tabs, and everything that crosses from one part of it to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from engine import AgentSessions, Benchmarks, Conversations, Engine, EngineError, Finished, GenerationOptions, Library, Message, TextDelta

from .agent.tab import AgentTab, build_agent_tab
from .benchmark.tab import build_benchmark_tab
from .chat import rendering, view
from .chat.options_panel import values_of
from .chat.session import Session
from .chat.tab import MAX_REPLIES, ChatTab, build_chat_tab
from .chat.welcome import welcome_html
from .models.tab import ModelsTab, build_models_tab, jobs_strip
from .shared.context import QUICK, PageBuilder, build_services
from .shared.errors import shown
from .shared.jobs import strip_html
from .shared.language import I18N, browser_language, language_of
from .shared.pace import Pace
from .shared.status_bar import CALM_S, QUICK_S, StatusBar, build_status_bar, status_html, tools_html
from .shared.theme import build_theme
from .shared.visitor import visitor_of

FOLDER = Path(__file__).parent
# Answers are written by a model: a picture in one must not make the browser call another host.
CONTENT_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
QUEUE_S, PROGRESS_S = 0.02, 1.0     # the latest that an event is begun; nothing here reports progress by Gradio's means
MAX_THREADS = 4 * MAX_REPLIES       # every waiting step of a handler holds one


def build_app(engine: Engine, conversations: Conversations | None = None, library: Library | None = None,
              agent_sessions: AgentSessions | None = None, benchmarks: Benchmarks | None = None) -> gr.Blocks:
    """The page over `engine`. What is loaded at the start is up to the caller."""
    shared = PageBuilder(build_services(engine, conversations, library, agent_sessions, benchmarks))
    with gr.Blocks(title="MindCubes", analytics_enabled=False, fill_width=True, fill_height=True) as page:
        bar = build_status_bar()
        strip = jobs_strip()
        with gr.Tabs(elem_classes="mc-tabs"):
            with shared.labelled(gr.Tab, {"label": "tab.chat"}, id="chat"):
                chat = build_chat_tab(shared)
            with shared.labelled(gr.Tab, {"label": "tab.agent"}, id="agent", elem_id="mc-tab-agent") as agent_tab:
                agent = build_agent_tab(shared, agent_tab)
            with shared.labelled(gr.Tab, {"label": "tab.models"}, id="models") as models_tab:
                models = build_models_tab(shared, models_tab, strip)
            with shared.labelled(gr.Tab, {"label": "tab.benchmark"}, id="benchmark") as benchmark_tab:
                build_benchmark_tab(shared, benchmark_tab, strip, models.wake)
        _watch_engine(page, shared, bar, chat)
        _watch_jobs(page, shared, strip, models)
        _follow_language(page, shared, bar, chat, agent)
        gr.api(_chat_endpoint(engine), api_name="chat", concurrency_limit=MAX_REPLIES, concurrency_id="replies")
        if engine.settings.can_sign_in:
            gr.LoginButton(visible=False)       # brings the pages that the list of chats leads to
    page.queue(default_concurrency_limit=MAX_REPLIES)
    # Gradio looks for work every millisecond, and for progress every ten: each look takes Python away from the model that writes.
    page._queue.sleep_when_free, page._queue.progress_update_sleep_when_free = QUEUE_S, PROGRESS_S
    return page


def launch_arguments(engine: Engine) -> dict[str, Any]:
    """How the page looks and speaks, and which files it may show; the address is up to the caller."""
    scripts = "".join(f"<script>{(FOLDER / 'static' / name).read_text('utf-8')}</script>" for name in ("gradio_workarounds.js", "page.js"))
    return {
        "theme": build_theme(), "css_paths": [FOLDER / name for name in ("static/style.css", "agent/agent.css", "benchmark/benchmark.css")],
        "i18n": I18N, "footer_links": [], "show_error": False,
        "head": f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">{scripts}',
        "run_history": False, "max_threads": MAX_THREADS, "ssr_mode": False, "enable_monitoring": False,
        # Files of the agent's runs: found by whoever knows a run's id, which nobody can guess.
        "allowed_paths": [str(engine.settings.data_dir / "agent")],
    }


def _watch_engine(page: gr.Blocks, shared: PageBuilder, bar: StatusBar, chat: ChatTab) -> None:
    """Poll the engine and this page's chat; send only what changed since the page last heard."""
    engine, fields = shared.engine, list(chat.options.fields)
    timer = gr.Timer(QUICK_S)
    seen = gr.State(None)               # the status line that this page shows, and which model it is about
    adopted = gr.State(None)            # the defaults last put into the options
    
    def look(request: gr.Request, session: Session, seen: tuple[str, str] | None, adopted: list[Any] | None, wake: int,
             *values: Any) -> list[Any]:
        status, language = engine.status(), language_of(request)
        line, about = status_html(status, loading_name(engine), language), f"{status.state} {status.model} {status.error}"
        woken = wake + 1 if _changed_elsewhere(shared.conversations, session) else gr.skip()
        if seen == (line, about):
            return [woken, *[gr.skip()] * (len(outputs) - 1)]
        is_new = seen is None or seen[1] != about
        is_welcome = not session.path and (is_new or status.state == "loading")
        return [woken, (line, about), line, welcome_html(status, language) if is_welcome else gr.skip(),
                rendering.gauge(session, status.window_tokens, language) if is_new else gr.skip(),
                tools_html(language) if seen is None else gr.skip(),
                gr.Timer(CALM_S if status.state in ("ready", "asleep") else QUICK_S) if is_new else gr.skip(),
                *(adopt(adopted, values) if is_new else [gr.skip()] * (1 + len(fields)))]

    def adopt(adopted: list[Any] | None, values: tuple[Any, ...]) -> list[Any]:
        """Take over a new model's defaults, unless the visitor changed something."""
        defaults = values_of(engine.default_options())
        if adopted == defaults or (adopted is not None and list(values) != adopted):
            return [gr.skip()] * (1 + len(fields))
        return [defaults, *defaults]

    outputs = [chat.wake, seen, bar.status, chat.welcome, chat.gauge, bar.tools, timer, adopted, *fields]
    # Through the queue: a gr.State tells its change only to events that went that way.
    gr.on([page.load, timer.tick], look, [chat.session, seen, adopted, chat.wake, *fields], outputs, **{**QUICK, "queue": True})


def _watch_jobs(page: gr.Blocks, shared: PageBuilder, strip: gr.HTML, models: ModelsTab) -> None:
    """Poll what runs outside any page; a change of it wakes the Models tab."""
    engine, library = shared.engine, shared.library
    timer, shown = gr.Timer(CALM_S), gr.State("")
    known = gr.State("")        # which jobs there are and in what state, which model is loaded, in which language that was shown

    def look(request: gr.Request, shown: str, known: str, wake: int) -> list[Any]:
        language, status = language_of(request), engine.status()
        jobs = library.visible_jobs(visitor_of(request))
        load = engine.latest_load
        line = strip_html(jobs, status, load.spec.name if load and not load.is_first else "", language)
        now = " ".join((language, status.state, status.model, status.quantization, status.error, *(f"{job.id}{job.state}" for job in jobs)))
        is_busy = status.state in ("loading", "unloading") or any(not job.is_over for job in jobs)
        return [line if line != shown else gr.skip(), line if line != shown else gr.skip(), now if now != known else gr.skip(),
                wake + 1 if now != known else gr.skip(), gr.Timer(QUICK_S if is_busy else CALM_S) if now != known else gr.skip()]

    gr.on([page.load, timer.tick], look, [shown, known, models.wake], [strip, shown, known, models.wake, timer],
          **{**QUICK, "queue": True})


def _changed_elsewhere(conversations: Conversations, session: Session) -> bool:
    """Whether another page changed the chat that this one shows, or has an answer written in it."""
    if session.chat is None or session.is_following:
        return False
    if conversations.is_writing(session.chat.id):
        return True
    try:
        return conversations.store.version(session.owner, session.chat.id) != session.chat.version
    except EngineError:
        return False        # the next thing done here will say why


def _follow_language(page: gr.Blocks, shared: PageBuilder, bar: StatusBar, chat: ChatTab, agent: AgentTab) -> None:
    """A choice in the status bar changes every text in place: nothing typed or answered is lost."""
    engine = shared.engine
    spoken = list({component for component, _ in shared.labels})

    def greet(request: gr.Request) -> Any:
        """Labels already speak the browser's language; choices do not, and an earlier choice of language may differ."""
        language = language_of(request)
        return shared.text_updates(language, labels=language != browser_language(request), choices=language != "en") or gr.skip()

    def speak(session: Session, request: gr.Request) -> dict[gr.blocks.Block, Any]:
        language, status = language_of(request), engine.status()
        context = shared.context(request)
        return {bar.status: status_html(status, loading_name(engine), language), bar.tools: tools_html(language),
                chat.welcome: "" if session.path else welcome_html(status, language),
                chat.gauge: rendering.gauge(session, status.window_tokens, language), chat.side.chats: view.chats(context, session),
                chat.head: view.head(context, session), chat.chips: view.chips(context, session), **shared.text_updates(language)}

    def retell(session: Session, request: gr.Request) -> Any:
        return gr.skip() if session.is_writing else rendering.messages(session, language_of(request))

    bar.tools.greet(greet, outputs=spoken, **QUICK)
    page.load(None, js="() => mindcubes.greet()", api_visibility="private")
    bar.tools.language(speak, chat.session, [bar.status, bar.tools, chat.welcome, chat.gauge, chat.side.chats, chat.head, chat.chips,
                                             *spoken], **QUICK).then(retell, chat.session, chat.chatbot, **QUICK).then(
        *agent.respoken, **QUICK)


def loading_name(engine: Engine) -> str:
    """The model that is being loaded, or that the settings ask for."""
    load = engine.latest_load
    return (load.spec if load else engine.default_spec()).name


def _chat_endpoint(engine: Engine) -> Any:
    @shown
    def chat(message: str, system_prompt: str = "", temperature: float = 0.7, max_new_tokens: int = 256) -> Iterator[str]:
        """Answer one message. Streams the answer as it grows: every result is the whole text so far."""
        options = GenerationOptions(temperature=temperature, max_new_tokens=max_new_tokens)
        system = [Message("system", system_prompt)] if system_prompt.strip() else []
        answer, pace = "", Pace()
        yield answer        # before the first slow thing, so that a client that goes away is noticed
        with closing(engine.chat([*system, Message("user", message)], options)) as events:  # type: ignore[type-var]
            for event in events:
                answer += event.text if isinstance(event, TextDelta) else ""
                if pace.is_due() and not isinstance(event, Finished):
                    pace.began()
                    yield answer
                    pace.ended(len(answer))
        yield answer

    return chat
