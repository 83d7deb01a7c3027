"""The blind comparison as HTML: two anonymous replies, the models' names after the vote, and the ratings from all votes."""

from __future__ import annotations

import html
from collections.abc import Sequence

from engine.background import Job
from engine.benchmark import BlindComparison, ComparisonSide, Rating

from ..shared.html import action_button
from ..shared.language import number, text

SCORES = (("left", "1"), ("same", "0.5"), ("right", "0"))


def _escaped(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


def comparison_html(job: Job, comparison: BlindComparison, language: str) -> str:
    """Two replies to vote on, without the models' names."""
    votes = "".join(action_button(text(language, f"bench.vote.{name}"), "vote", f"{job.id} {score}") for name, score in SCORES)
    names = [text(language, f"bench.side.{side}") for side in ("left", "right")]
    return _shown(comparison, names, f'<div class="mc-remedies">{votes}</div>', language)


def revealed_html(comparison: BlindComparison, language: str) -> str:
    close = action_button(text(language, "bench.close"), "revealed")
    return _shown(comparison, [comparison.left.label, comparison.right.label], f'<div class="mc-remedies">{close}</div>', language)


def _shown(comparison: BlindComparison, names: Sequence[str], buttons: str, language: str) -> str:
    answers = "".join(_answer(side, name) for side, name in zip((comparison.left, comparison.right), names, strict=True))
    return (f'<section class="mc-now mc-duel" aria-label="{_escaped(language, "bench.duel")}">'
            f'<p class="mc-asked">{html.escape(comparison.prompt)}</p><div class="mc-sides">{answers}</div>{buttons}</section>')


def _answer(side: ComparisonSide, name: str) -> str:
    return f'<article><h3>{html.escape(name)}</h3><p>{html.escape(side.text)}</p></article>'


def ratings_html(ratings: Sequence[Rating], language: str, *, may_clear: bool) -> str:
    if not ratings:
        return ""
    head = "".join(f'<th scope="col">{_escaped(language, f"bench.col.{each}")}</th>' for each in ("model", "elo", "votes", "wins"))
    rows = "".join(f'<tr><th scope="row">{html.escape(each.label)}</th><td>{number(language, each.elo)}</td>'
                   f"<td>{each.votes}</td><td>{each.wins}</td></tr>" for each in ratings)
    ask = f' data-confirm="{_escaped(language, "bench.votes.ask")}"'
    clear = action_button(text(language, "bench.votes.clear"), "clear-votes", extra=ask) if may_clear else ""
    return (f'<div class="mc-scroll" tabindex="0" role="region" aria-label="{_escaped(language, "bench.ratings")}"><table class="mc-table">'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{clear}")
