"""Actions: the buttons in the HTML of a tab. Each is one function, registered under a name.

A click reaches the server as a name, a target and a value. They come from the browser, so they are not trusted: an unknown name is
refused, values are cut to a maximum length, and the engine decides what a visitor may do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from engine import EngineError

from .context import Context
from .errors import PageError

Session = TypeVar("Session")
Result = TypeVar("Result")
Action = TypeVar("Action", bound=Callable[..., Any])
MAX_NUMBER_DIGITS = 18      # SQLite's integers have 64 bits


@dataclass(frozen=True)
class Click:
    """A click on a button. `target`: what it is about, such as the id of a chat. `value`: what was typed or chosen."""

    name: str
    target: str = ""
    value: str = ""

    @property
    def number(self) -> int:
        """`target` as the id of a message or an index in a list. Raises PageError."""
        return whole_number(self.target)


def whole_number(typed: str) -> int:
    """Return `typed` as a whole number. Raises PageError if it is none, or one that the database cannot store."""
    if not typed.isdecimal() or len(typed) > MAX_NUMBER_DIGITS:
        raise PageError("error.gone")
    return int(typed)


class Actions(Generic[Session, Result]):
    """The actions of one tab.

    An action is a function (context, session, click) -> Result. If one raises PageError or EngineError, `perform` returns what
    `on_error` makes of the error, while `run` lets it through. `before` is called with the session and the name before an action runs.
    """

    def __init__(self, on_error: Callable[[Context, Session, Exception], Result] | None = None,
                 before: Callable[[Session, str], None] | None = None, max_value_chars: int = 100_000) -> None:
        self._on_error, self._before, self._max_value_chars = on_error, before, max_value_chars
        self._actions: dict[str, Callable[[Context, Session, Click], Result]] = {}

    def __call__(self, *names: str) -> Callable[[Action], Action]:
        """Decorator: register a function under these names."""
        def register(action: Action) -> Action:
            for name in names:
                if name in self._actions:
                    raise ValueError(f"There is an action {name!r} already.")
                self._actions[name] = action
            return action
        return register

    def include(self, *others: Actions[Session, Result]) -> None:
        """Add the actions that are defined in other modules of the same tab."""
        for other in others:
            self._actions.update(other._actions)

    def run(self, context: Context, session: Session, click: Any) -> Result:
        """Run the action of `click`. Raises PageError if the name is unknown, and the errors of the action."""
        action = self._actions.get(click.name)
        if action is None:
            raise PageError("error.gone")
        if self._before is not None:
            self._before(session, click.name)
        limit = self._max_value_chars
        return action(context, session, replace(click, target=click.target[:limit], value=click.value[:limit]))

    def perform(self, context: Context, session: Session, name: Any, target: Any = "", value: Any = "") -> Result:
        """Run the action `name`. With `on_error`, PageError and EngineError become a result; any other error is a bug and is raised."""
        try:
            return self.run(context, session, Click(str(name), _text(target), _text(value)))
        except (PageError, EngineError) as error:
            if self._on_error is None:
                raise
            return self._on_error(context, session, error)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
