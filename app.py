"""MindCubes: run open language models on your own hardware. `python app.py` starts the page."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  on ZeroGPU it has to come before anything that could touch a GPU

import gc
import logging
import os
import sys
import threading

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from engine import AgentSessions, Benchmarks, Conversations, Engine, EngineError, Library, Settings
from engine.sandbox import prepare_sandboxes


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    gc.disable()        # a fifth of the start would go into looking for garbage among freshly imported modules
    try:
        settings = Settings.from_env()
        engine = Engine(settings)
        engine.start_loading(engine.default_spec())     # in the background: the page does not wait for it
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    conversations = Conversations(engine)
    library, agent_sessions = Library(engine, conversations), AgentSessions(engine)
    benchmarks = Benchmarks(engine, library.jobs)
    try:
        from ui.app import build_app, launch_arguments  # Gradio comes in while the model is being loaded

        page = build_app(engine, conversations, library, agent_sessions, benchmarks)
        page.launch(server_name=settings.host, server_port=settings.port, inbrowser=_has_desktop(settings),
                    prevent_thread_lock=True, **launch_arguments(engine))
        threading.Thread(target=prepare_sandboxes, args=(settings.data_dir,), kwargs={"is_public": settings.is_public}, name="sandboxes",
                         daemon=True).start()
        gc.enable()
        page.block_thread()
    finally:
        conversations.close()
        agent_sessions.close()
        library.jobs.close()
        engine.close()
    return 0


def _has_desktop(settings: Settings) -> bool:
    """Whether somebody sits in front of this machine, so that opening a browser helps."""
    if settings.is_public or os.environ.get("CI") or not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
