"""MindCubes: run open language models on your own hardware. `python app.py` starts the page and the API; -v shows what libraries log."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  on ZeroGPU it has to come before anything that could touch a GPU

import argparse
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from engine import AgentSessions, Benchmarks, Conversations, Engine, EngineError, Library, Settings
from engine.errors import StorageError
from engine.finetune import is_room_taken
from engine.knowledge import Knowledge
from engine.runtime import LoadJob
from engine.sandbox import prepare_sandboxes, remove_own

END_S = 9.0         # Docker kills after 10


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Start the page.")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the app and its libraries log")
    parser.add_argument("--share", action="store_true", help="make a link through which anyone can use the page, as a public page")
    asked = parser.parse_args(arguments)
    is_verbose = asked.verbose
    if asked.share:
        os.environ["GRADIO_SHARE"] = "true"
    logging.basicConfig(level=logging.INFO if is_verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _end)     # what Spaces, Docker and systemd send
    gc.disable()        # collecting garbage among freshly imported modules takes a fifth of the start
    try:
        settings = Settings.from_env()
        engine = Engine(settings)
        spec = engine.default_spec()
        if is_room_taken(engine):       # the model is loaded when the run is over
            _say("A model is being fine-tuned in the place of the chat model")
            load = None
        else:
            _say(f"Loading {spec.name} in the background")
            load = engine.start_loading(spec)       # the page does not wait for it, except on ZeroGPU
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    if load is None:
        pass
    elif settings.is_zero_gpu:
        _report(load)
        engine.place_on_lent_gpu()      # in this thread, and before the launch: then its package takes over the weights
    else:
        threading.Thread(target=_report, args=(load,), name="report", daemon=True).start()
    try:
        serve(engine, settings)
    except EngineError as error:        # a setting that the page cannot follow
        print(error, file=sys.stderr)
        return 2
    return 0


def serve(engine: Engine, settings: Settings) -> None:
    """Serve the page and the API until the process is asked to end, then stop and save everything."""
    conversations = Conversations(engine)
    library, agent_sessions = Library(engine, conversations), AgentSessions(engine)
    benchmarks = Benchmarks(engine, library.jobs)
    knowledge = Knowledge(engine, library.jobs, engine.embedders, library.hub)
    try:
        with contextlib.suppress(StorageError):     # every later use reports it to the user
            knowledge.sweep()
        from api import routes  # as Gradio, imported while the model is being loaded
        from ui.app import build_app, launch

        page = build_app(engine, conversations, library, agent_sessions, benchmarks, knowledge)
        address = launch(page, engine, routes(engine), server_name=settings.host, server_port=settings.port,
                         inbrowser=_has_desktop(settings))
        _say(f"Open {address}   (Ctrl+C ends it)")
        threading.Thread(target=prepare_sandboxes, args=(settings.data_dir,), kwargs={"is_public": settings.is_public}, name="sandboxes",
                         daemon=True).start()
        gc.enable()
        page.block_thread()
    finally:
        conversations.close()
        agent_sessions.close()
        library.jobs.close()
        engine.close()


def _end(number: int, frame: object) -> None:
    """End as Ctrl+C does, and within END_S even if something hangs."""
    watchdog = threading.Timer(END_S, _give_up, (128 + number,))
    watchdog.daemon = True
    watchdog.start()
    raise KeyboardInterrupt


def _give_up(code: int) -> None:
    remove_own()
    os._exit(code)


def _report(load: LoadJob) -> None:
    """Print a line when the first model is loaded, or the reason why it could not be."""
    try:
        seconds = [event.seconds for event in load.follow()][-1]
    except EngineError as error:        # the page shows it too
        print(error, file=sys.stderr, flush=True)
    else:
        _say(f"Loaded {load.spec.name} in {seconds:.0f} s")


def _say(line: str) -> None:
    print(line, flush=True)


def _has_desktop(settings: Settings) -> bool:
    """Whether someone is working at this machine, so that opening a browser is useful."""
    if settings.is_public or os.environ.get("CI") or not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
