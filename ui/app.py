"""The page as a whole: its tabs, and what connects one of its parts with another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from engine import AgentSessions, Benchmarks, Conversations, Engine, EngineError, Library
from engine.errors import InvalidRequest
from engine.finetune import downloads_folder
from engine.knowledge import Knowledge
from engine.public_mode import MAX_FILE_BYTES

from .agent.tab import AgentTab, build_agent_tab
from .benchmark.tab import build_benchmark_tab
from .chat import rendering, view
from .chat.adapters import composer_html
from .chat.options_panel import values_of
from .chat.session import ChatSession
from .chat.tab import MAX_REPLIES, ChatTab, build_chat_tab
from .chat.welcome import welcome_html
from .compat import MAX_PAGES, StrictBlocks, skip_statistics, slow_down_queue, small_sessions
from .finetune.tab import build_finetune_tab
from .knowledge.tab import build_knowledge_tab
from .models.parts import ModelsTab
from .models.tab import build_models_tab, jobs_strip
from .operations import add_operations, require_mcp
from .request_guard import RequestGuard
from .shared.context import QUICK, PageBuilder, build_services, changes
from .shared.files_menu import files_menu
from .shared.jobs import strip_html
from .shared.language import I18N, browser_language, language_of
from .shared.status_bar import CALM_S, QUICK_S, StatusBar, build_status_bar, status_html, tools_html
from .shared.theme import build_theme

FOLDER = Path(__file__).parent
# Replies are written by a model: an image in one must not make the browser send a request to another host.
CONTENT_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
STYLES = (      # shared rules first
    "static/style.css", "static/results.css", "chat/chat.css", "models/models.css", "tryit/tryit.css", "agent/agent.css",
    "benchmark/benchmark.css", "finetune/finetune.css", "knowledge/knowledge.css")
SCRIPTS = ("gradio_workarounds.js", "page.js", "files.js")
UPLOADS_KEPT_S = 3600, 86_400       # how often Gradio looks for uploads to delete, and their age then
MAX_UPLOAD_BYTES = 64 << 20         # of one file, on a private page: chats that are imported may have 50 MB
MAX_SIGN_INS = 8        # that are checked or wait for it
MAX_THREADS = 4 * MAX_REPLIES       # a handler holds one while it waits


def build_app(engine: Engine, conversations: Conversations | None = None, library: Library | None = None,
              agent_sessions: AgentSessions | None = None, benchmarks: Benchmarks | None = None,
              knowledge: Knowledge | None = None) -> gr.Blocks:
    """Build the page that uses `engine`. The caller decides which model is loaded at the start."""
    builder = PageBuilder(build_services(engine, conversations, library, agent_sessions, benchmarks, knowledge))
    with StrictBlocks(title="MindCubes", analytics_enabled=False, fill_width=True, fill_height=True, delete_cache=UPLOADS_KEPT_S) as page:
        bar = build_status_bar()
        strip = jobs_strip()
        with gr.Tabs(elem_classes="mc-tabs"):
            with builder.labelled(gr.Tab, {"label": "tab.chat"}, id="chat", elem_id="mc-tab-chat"):
                chat = build_chat_tab(builder, page)
            with builder.labelled(gr.Tab, {"label": "tab.agent"}, id="agent", elem_id="mc-tab-agent") as agent_tab:
                agent = build_agent_tab(builder, agent_tab)
            with builder.labelled(gr.Tab, {"label": "tab.models"}, id="models", elem_id="mc-tab-models") as models_tab:
                models = build_models_tab(builder, models_tab, strip)
            with builder.labelled(gr.Tab, {"label": "tab.knowledge"}, id="knowledge", elem_id="mc-tab-knowledge") as knowledge_tab:
                build_knowledge_tab(builder, knowledge_tab, chat.parts.files, models.wake)
            with builder.labelled(gr.Tab, {"label": "tab.benchmark"}, id="benchmark", elem_id="mc-tab-benchmark") as benchmark_tab:
                build_benchmark_tab(builder, benchmark_tab, strip, models.wake)
            with builder.labelled(gr.Tab, {"label": "tab.finetune"}, id="finetune", elem_id="mc-tab-finetune") as finetune_tab:
                build_finetune_tab(builder, finetune_tab, strip, models.wake)
        _watch_engine(page, builder, bar, chat)
        _watch_jobs(page, builder, strip, models)
        _follow_language(page, builder, bar, chat, agent)
        add_operations(engine, builder.benchmarks, MAX_REPLIES)
        if engine.settings.can_sign_in:
            gr.LoginButton(visible=False)       # adds the pages for signing in and out, to which the list of chats links
    page.queue(default_concurrency_limit=MAX_REPLIES)
    slow_down_queue(page)
    skip_statistics(page)
    return page


def launch(page: gr.Blocks, engine: Engine, routes: Sequence[BaseRoute] = (), **address: Any) -> str:
    """Serve the page and return its URL. Requests made by other sites are refused. `routes`: what the server answers besides the page.

    Raises MissingLibrary if one for MCP is missing, and InvalidRequest if there are accounts, whose sign-in tools of MCP cannot pass.
    """
    settings = engine.settings
    if settings.has_mcp:
        require_mcp()
        if sign_in(engine):
            raise InvalidRequest("MINDCUBES_MCP", 1, "0 while there are accounts; programs can use /v1 with a key of an account")
    guard = Middleware(RequestGuard, settings=settings)
    own = {"middleware": [guard], "lifespan": small_sessions, "routes": list(routes)}
    _, url, shared = page.launch(
        prevent_thread_lock=True, quiet=True, share=settings.is_shared, mcp_server=settings.has_mcp, auth=sign_in(engine),
        app_kwargs=own, **launch_arguments(engine), **address)
    return str(shared or url)


def sign_in(engine: Engine) -> Callable[[str, str], Awaitable[bool]] | None:
    """Return what checks names and passwords; None if there is no account, and on a Space, whose visitors sign in with Hugging Face."""
    if not engine.accounts.are_used or engine.settings.can_sign_in:
        return None
    waiting = 0

    async def may_sign_in(name: str, password: str) -> bool:
        """A password takes a tenth of a second to check: in a thread, and beyond MAX_SIGN_INS it counts as wrong."""
        nonlocal waiting
        if waiting >= MAX_SIGN_INS:
            return False
        waiting += 1
        try:
            return await anyio.to_thread.run_sync(engine.accounts.may_sign_in, name, password)
        finally:
            waiting -= 1

    return may_sign_in


def launch_arguments(engine: Engine) -> dict[str, Any]:
    """Return the arguments for the page's style, languages and files. The caller adds the address."""
    scripts = "".join(f"<script>{(FOLDER / 'static' / name).read_text('utf-8')}</script>" for name in SCRIPTS)
    return {
        "theme": build_theme(), "css_paths": [FOLDER / name for name in STYLES],
        "i18n": I18N, "footer_links": [], "show_error": False,
        "head": f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">{scripts}',
        "run_history": False, "max_threads": MAX_THREADS, "ssr_mode": False, "enable_monitoring": False,
        "state_session_capacity": MAX_PAGES, "max_file_size": MAX_FILE_BYTES if engine.settings.is_public else MAX_UPLOAD_BYTES,
        # Files of the agent's runs, and exported models. Reading one takes a random part of its address, which cannot be guessed.
        "allowed_paths": [str(engine.settings.data_dir / "agent"), str(downloads_folder(engine.settings))],
    }


def _watch_engine(page: gr.Blocks, builder: PageBuilder, bar: StatusBar, chat: ChatTab) -> None:
    """Poll the engine and this page's chat. Only what has changed since the last poll is sent."""
    engine, parts, fields = builder.engine, chat.parts, list(chat.options.fields)
    timer = gr.Timer(QUICK_S)
    seen = gr.State(None)               # the status that this page shows, and the state and model it is about

    def look(request: gr.Request, session: ChatSession, seen_now: tuple[str, str] | None, wake: int, *values: Any) -> Any:
        status, context = engine.status(), builder.context(request)
        line = status_html(status, loading_name(engine), context.language)
        about = f"{status.state} {status.model} {status.error} {status.adapters}"
        changed: dict[gr.blocks.Block, Any] = {}
        if _changed_elsewhere(builder.conversations, session):
            changed[chat.wake] = wake + 1
        if seen_now != (line, about):
            changed |= {seen: (line, about), bar.status: line}
            is_new = seen_now is None or seen_now[1] != about
            if not session.path and (is_new or status.state == "loading"):
                changed[parts.welcome] = welcome_html(status, context.language)
            if is_new:
                changed[parts.gauge] = rendering.gauge(session, status.window_tokens, context.language)
                changed[timer] = gr.Timer(CALM_S if status.state in ("ready", "asleep") else QUICK_S)
                changed |= {parts.thinking: composer_html(status, session, context.language), **adopt(session, values)}
        if seen_now is None:
            changed[bar.tools] = tools_html(context.language)
        return changes(changed)

    def adopt(session: ChatSession, values: tuple[Any, ...]) -> dict[gr.blocks.Block, Any]:
        """Show a new model's default options, unless the visitor has changed an option."""
        defaults = values_of(engine.default_options(session.effort))
        if session.adopted == defaults or (session.adopted is not None and list(values) != session.adopted):
            return {}
        session.adopted = defaults
        return dict(zip(fields, defaults, strict=True))

    outputs = [chat.wake, seen, bar.status, parts.welcome, parts.gauge, parts.thinking, bar.tools, timer, *fields]
    # Through the queue: only then does Gradio trigger the change events of a gr.State.
    gr.on([page.load, timer.tick], look, [chat.session, seen, chat.wake, *fields], outputs, **{**QUICK, "queue": True})


def _watch_jobs(page: gr.Blocks, builder: PageBuilder, strip: gr.HTML, models: ModelsTab) -> None:
    """Poll the jobs and the loaded model. A change updates the Models tab."""
    engine, library = builder.engine, builder.library
    timer, shown = gr.Timer(CALM_S), gr.State("")
    known = gr.State("")        # the jobs and their states, the loaded model, and the language in which they were shown

    def look(request: gr.Request, shown_now: str, known_now: str, wake: int) -> Any:
        context, status = builder.context(request), engine.status()
        jobs = library.visible_jobs(context.visitor)
        load = engine.latest_load
        line = strip_html(jobs, status, load.spec.name if load and not load.is_first else "", context.language,
                          context.visitor.owner)
        states = (f"{job.id}{job.state}" for job in jobs)
        now = " ".join((context.language, status.state, status.model, status.quantization, status.error, *status.adapters, *states))
        is_busy = status.state in ("loading", "unloading") or any(not job.is_over for job in jobs)
        changed: dict[gr.blocks.Block, Any] = {strip: line, shown: line} if line != shown_now else {}
        if now != known_now:
            changed |= {known: now, models.wake: wake + 1, timer: gr.Timer(QUICK_S if is_busy else CALM_S)}
        return changes(changed)

    gr.on([page.load, timer.tick], look, [shown, known, models.wake], [strip, shown, known, models.wake, timer],
          **{**QUICK, "queue": True})


def _changed_elsewhere(conversations: Conversations, session: ChatSession) -> bool:
    """Whether another page changed the chat that this one shows, or a reply is in progress there."""
    if session.chat is None or session.is_following:
        return False
    if conversations.is_writing(session.chat.id):
        return True
    try:
        return conversations.version(session.owner, session.chat.id) != session.chat.version
    except EngineError:
        return False        # the next action here reports why


def _follow_language(page: gr.Blocks, builder: PageBuilder, bar: StatusBar, chat: ChatTab, agent: AgentTab) -> None:
    """A language chosen in the status bar changes every text in place. Nothing typed or generated is lost."""
    engine, parts = builder.engine, chat.parts
    labelled = list(builder.text_updates("en"))

    def translate(request: gr.Request) -> Any:
        """Translate the page when it is opened.

        Labels have the browser's language already, which may differ from the visitor's choice; items of dropdowns are in English.
        """
        language = language_of(request)
        return changes(builder.text_updates(language, labels=language != browser_language(request), choices=language != "en"))

    def change_language(session: ChatSession, request: gr.Request) -> Any:
        context, status = builder.context(request), engine.status()
        language = context.language
        return {bar.status: status_html(status, loading_name(engine), language), bar.tools: tools_html(language),
                parts.welcome: "" if session.path else welcome_html(status, language),
                parts.gauge: rendering.gauge(session, status.window_tokens, language), parts.files: files_menu(context),
                parts.thinking: composer_html(status, session, language), parts.chats: view.chats(context, session),
                parts.head: view.head(context, session), parts.chips: view.chips(context, session), **builder.text_updates(language)}

    def render_messages(session: ChatSession, request: gr.Request) -> Any:
        return gr.skip() if session.is_writing else rendering.messages(session, language_of(request))

    bar.tools.translate(translate, outputs=labelled, **QUICK)
    page.load(None, js="() => mindcubes.translate()", api_visibility="private")
    changed = [bar.status, bar.tools, parts.welcome, parts.gauge, parts.files, parts.thinking, parts.chats, parts.head, parts.chips,
               *labelled]
    bar.tools.language(change_language, chat.session, changed, **QUICK).then(render_messages, chat.session, parts.chatbot, **QUICK).then(
        *agent.language_change, **QUICK)


def loading_name(engine: Engine) -> str:
    """Return the name of the model that is being loaded, or else of the one that the settings ask for."""
    load = engine.latest_load
    return (load.spec if load else engine.default_spec()).name
