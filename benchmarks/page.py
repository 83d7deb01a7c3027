"""Measures the start of the app, its first token, and a reply of 1,000 tokens through gradio_client and from the engine alone.

    python -m benchmarks.page

The built-in model ends its replies by itself, so a copy of it without an end token generates the long reply.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

BUILTIN = Path(__file__).parent.parent / "engine" / "models" / "builtin"
TOKENS = 1000


def endless_copy(folder: Path, window_tokens: int = 0) -> Path:
    """Copy the built-in model without its end token. `window_tokens`: a longer context window than it was trained for."""
    shutil.copytree(BUILTIN, folder)
    if window_tokens:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "max_position_embeddings": window_tokens}), "utf-8")
    for name, keys in (("config.json", ["eos_token_id"]), ("generation_config.json", ["eos_token_id"]),
                       ("tokenizer_config.json", ["eos_token"])):
        path = folder / name
        content = json.loads(path.read_text("utf-8"))
        for key in keys:
            content[key] = None
        path.write_text(json.dumps(content), "utf-8")
    template = folder / "chat_template.jinja"       # replies would end with the token that the template writes after them
    end = "('\\n' if message['role'] == 'assistant' else '<|end|>')"
    template.write_text(template.read_text("utf-8").replace("'<|end|>'", end), "utf-8")
    return folder


class App:
    """The app as `make run` starts it, on a free port."""

    def __init__(self, model: str, data_dir: Path | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        environment = {**os.environ, "GRADIO_SERVER_PORT": self.url.rsplit(":", 1)[1], "MINDCUBES_MODEL": model,
                       "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "BROWSER": "true"}
        if data_dir:
            environment["MINDCUBES_DATA_DIR"] = str(data_dir)
        self.started = time.perf_counter()
        self.process = subprocess.Popen([sys.executable, "app.py"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> float:
        """Return the seconds from the start of the process to HTTP 200."""
        while True:
            try:
                if httpx.get(self.url, timeout=2).status_code == 200:
                    return time.perf_counter() - self.started
            except httpx.HTTPError as error:
                last = error        # not listening yet
                if time.perf_counter() - self.started > 120:
                    raise RuntimeError("the app did not answer in 120 s") from last
            if self.process.poll() is not None:
                raise RuntimeError("the app ended at its start")
            time.sleep(0.02)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def first_token(app: App) -> float:
    """Return the seconds from the first message to a new process until the first text, loading the model included."""
    from gradio_client import Client

    client = Client(app.url, verbose=False)
    started = time.perf_counter()
    while True:
        try:
            for text in client.submit("hello", api_name="/chat"):
                if text:        # the endpoint sends an empty text first
                    return time.perf_counter() - started
        except Exception as error:
            if time.perf_counter() - started > 60 or "load" not in str(error).lower():
                raise
        time.sleep(0.05)


def through_page(app: App, question: str) -> float:
    from gradio_client import Client

    client = Client(app.url, verbose=False)
    started = time.perf_counter()
    job = client.submit(question, "", 0.0, TOKENS, api_name="/chat")
    answers = list(job)
    assert len(answers[-1]) > TOKENS, f"only {len(answers[-1])} characters came"
    return time.perf_counter() - started


def through_engine(model: Path, question: str, tokens: int = TOKENS, runs: int = 3, before: Sequence[tuple[str, str]] = ()) -> float:
    """Return the seconds of the same reply from the engine alone, in a separate process: the fastest of `runs`, after a short one.

    `before`: (role, text) of the messages before the question.
    """
    code = f"""
import time
from engine import Engine, GenerationOptions, Message, ModelSpec, Settings
engine = Engine(Settings())
for _ in engine.load(ModelSpec({str(model)!r})): pass
messages = [Message(role, text) for role, text in {[*before, ("user", question)]!r}]
for event in engine.chat(messages, GenerationOptions(16, 0.0)): pass
times = []
for i in range({runs}):
    started = time.perf_counter()
    for event in engine.chat(messages, GenerationOptions({tokens}, 0.0)): pass
    times.append(time.perf_counter() - started)
    assert event.usage.new_tokens == {tokens}, event
print(min(times)); engine.close()
"""
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only-start", action="store_true")
    options = parser.parse_args()
    app = App("builtin")
    try:
        print(f"process start to HTTP 200: {app.wait():.2f} s (target 5)")
        print(f"first message to first text in a fresh process: {first_token(app):.2f} s (target 3)")
    finally:
        app.close()
    if options.only_start:
        return
    with tempfile.TemporaryDirectory() as folder:
        model = endless_copy(Path(folder) / "endless")
        question = "tell me everything"
        engine = through_engine(model, question)
        app = App(str(model))
        try:
            app.wait()
            first_token(app)
            page = min(through_page(app, question) for _ in range(3))
        finally:
            app.close()
    print(f"{TOKENS} tokens: engine {engine:.2f} s, page {page:.2f} s: {page / engine:.2f}x (target 1.1), "
          f"{page - engine:.2f} s later (target 0.5)")


if __name__ == "__main__":
    main()
