"""MindCubes: run open language models on your own hardware. `python app.py` starts the page."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  on ZeroGPU it has to come before anything that could touch a GPU

import logging
import os
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from engine import Engine, EngineError, Settings
from ui.app import build_app, launch_arguments


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = Settings.from_env()
        engine = Engine(settings)
        spec = engine.default_spec()
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    page = build_app(engine)
    try:
        # The page is up before the model: what it needs is imported and loaded in the background.
        page.launch(server_name=settings.host, server_port=settings.port, inbrowser=_has_desktop(settings),
                    prevent_thread_lock=True, **launch_arguments())
        engine.start_loading(spec)
        page.block_thread()
    finally:
        engine.close()
    return 0


def _has_desktop(settings: Settings) -> bool:
    """Whether somebody sits in front of this machine, so that opening a browser helps."""
    if settings.is_public or os.environ.get("CI") or not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
