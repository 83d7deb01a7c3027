"""A stand-in of the package `spaces` on ZeroGPU: every call of a decorated function runs in a process that is forked for it.

As the real one does (version 0.51): arguments and events are pickled; a generator is read in a thread of the forked process; closing it
outside asks it to stop, which takes effect at its next event; of an error only the name of its class comes back, unless it is a
gradio.Error; a refusal is a gradio.Error with a title; a process that takes longer than its duration is ended. Unlike the real one it
has no GPU, and no process serves a second call.

    with tests.spaces_standin.installed() as spaces:
        spaces.refusals.append(("ZeroGPU quota exceeded", "You have exceeded ..."))
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import gradio as gr
from gradio.context import LocalContext

fork = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Call:
    """One call: the seconds asked for, the visitor's request, and the forked process."""

    duration: int
    request: Any
    pid: int


calls: list[Call] = []
refusals: list[tuple[str, str]] = []        # titles and messages of the next calls
taken_s: list[float] = []                   # after which the next calls are ended, instead of their duration
queues: list[threading.Event] = []          # for which the next calls wait until a GPU is free


def GPU(task: Callable[..., Any] | None = None, *, duration: Any = None, size: str | None = None) -> Any:
    if task is None:
        return partial(GPU, duration=duration, size=size)
    if not inspect.isgeneratorfunction(task):
        raise NotImplementedError("The stand-in lends its GPU to generators only.")

    @wraps(task)
    def lent(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        seconds = duration(*args, **kwargs) if callable(duration) else duration or 60
        if queues:
            queues.pop(0).wait(60)
        if refusals:
            title, message = refusals.pop(0)
            raise gr.Error(message, title=title, print_exception=False)
        yield from _run(task, args, kwargs, seconds)

    return lent


def _run(task: Callable[..., Any], args: Any, kwargs: Any, seconds: int) -> Generator[Any, None, None]:
    """Everything goes through pipes, so that only what can be pickled reaches the other process."""
    arguments, (events, written), stop = fork.SimpleQueue(), fork.Pipe(duplex=False), fork.Event()
    process = fork.Process(target=_worker, args=(task, arguments, written, stop), daemon=True)
    process.start()
    written.close()     # so that reading ends with the process
    arguments.put((args, kwargs))
    calls.append(Call(seconds, LocalContext.request.get(None), process.pid or 0))
    killer = threading.Timer(taken_s.pop(0) if taken_s else seconds, process.kill)
    killer.start()
    try:
        while True:
            try:
                kind, value = events.recv()
            except (EOFError, OSError):     # OSError: in the middle of an event
                raise gr.Error("GPU task aborted", title="ZeroGPU worker error", print_exception=False) from None
            if kind == "error":
                raise value if isinstance(value, gr.Error) else gr.Error(value, title="ZeroGPU worker error", print_exception=False)
            if kind == "end":
                return
            yield value
    finally:        # a reader that left waits here until the process has noticed
        stop.set()
        process.join(20)
        killer.cancel()
        events.close()


def _worker(task: Callable[..., Any], arguments: Any, events: Any, stop: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    args, kwargs = arguments.get()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_read, task, args, kwargs, events, stop).result()
    os._exit(0)     # without what the forked process would do at the end of the one it was forked from


def _read(task: Callable[..., Any], args: Any, kwargs: Any, events: Any, stop: Any) -> None:
    source = task(*args, **kwargs)
    try:
        for event in source:
            if stop.is_set():
                source.close()
                break
            events.send(("event", event))
    except Exception as error:
        events.send(("error", error if isinstance(error, gr.Error) else type(error).__name__))
    else:
        events.send(("end", None))
