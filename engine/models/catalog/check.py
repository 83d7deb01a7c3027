"""Compares the catalog with the hub: config.json and the headers of the weights there decide.

The language model is compared. Repositories may hold more: encoders of pictures and sound, layers that guess tokens ahead. So the number
of parameters on the hub may be larger, by at most MOST_BESIDE of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ...checkpoint.shape import ModelShape
from ...errors import HubUnreachable, LoadError
from ...hub.hub import Hub, HubListing
from ...settings import Secret
from .edit import number, shape_line, with_field, with_line, without_line
from .entry import CatalogEntry, parse_catalog

SIZES = ("layers", "kv_heads", "head_dim", "hidden_size", "vocab_size", "cache_values_per_token", "state_values", "expert_share")
MOST_BESIDE = 0.25
ROUNDING = 0.001        # biases, which an `architecture` leaves out


@dataclass(frozen=True, slots=True)
class Difference:
    """`name`: the field. `ours` and `hub`: its values as TOML writes them. `hub_shape`: set if the sizes differ."""

    repo: str
    name: str
    ours: str
    hub: str
    hub_shape: ModelShape | None = None

    def __str__(self) -> str:
        return f"{self.repo}: {self.name} is {self.ours} in the catalog and {self.hub} on the hub"


@dataclass(slots=True)
class Comparison:
    """`unread`: models that the hub did not show, with the reason."""

    checked: int = 0
    differences: list[Difference] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


def compare(text: str, hub: Hub, token: Secret, repos: Sequence[str] = ()) -> Comparison:
    """Compare the entries of catalog.toml, all or those of `repos`, with the hub.

    Models that cannot be read are listed. Raises HubUnreachable if the first cannot be reached, and ValueError for a bad text.
    """
    result = Comparison()
    for entry in parse_catalog(text):
        if repos and entry.repo not in repos:
            continue
        try:
            listing = hub.describe(entry.repo, None, token)
        except LoadError as error:
            if isinstance(error, HubUnreachable) and not result.checked:
                raise
            result.unread[entry.repo] = str(error)
            continue
        result.checked += 1
        result.differences += differences(entry, listing)
    return result


def differences(entry: CatalogEntry, listing: HubListing) -> list[Difference]:
    """What the hub says otherwise about one model. What it does not say, as of a gated model without access, is not compared."""
    found = [Difference(entry.repo, name, ours, hub) for name, ours, hub in _facts(entry, listing) if ours != hub]
    if listing.shape is not None and (wrong := _wrong_sizes(entry, listing.shape)):
        name, ours, hub = wrong
        found.append(Difference(entry.repo, name, ours, hub, listing.shape))
    return found


def _facts(entry: CatalogEntry, listing: HubListing) -> Iterator[tuple[str, str, str]]:
    if listing.renamed_to:
        yield "repo", _quoted(entry.repo), _quoted(listing.renamed_to)
    yield "gated", _flag(entry.gated), _flag(listing.is_gated)
    if listing.licence and listing.licence != "other":
        yield "licence", _quoted(entry.licence), _quoted(listing.licence)
    if not listing.gated_access:
        return
    yield "chat_template", _flag(entry.chat_template), _flag(listing.has_chat_template)
    if listing.shape is not None:
        yield "context", number(entry.context), number(min(entry.context, listing.shape.max_window))


def _wrong_sizes(entry: CatalogEntry, hub: ModelShape) -> tuple[str, str, str] | None:
    """The first size that differs, or None."""
    if entry.shape is None:
        return "shape", "missing", shape_line(hub)
    for name in SIZES:
        ours, theirs = getattr(entry.shape, name), getattr(hub, name)
        if ours != theirs:
            return name, number(ours), number(theirs)
    most = (1 + MOST_BESIDE) * entry.parameters
    if (1 - ROUNDING) * entry.parameters <= hub.parameters <= most:
        return None
    return "parameters", number(entry.parameters), number(hub.parameters)


def corrected(text: str, found: Sequence[Difference]) -> str:
    """catalog.toml with the hub's values. Sizes that differ replace `config` and `architecture`; a new name is left to a person."""
    for each in found:
        if each.hub_shape is not None:
            text = with_field(text, each.repo, "parameters", number(each.hub_shape.parameters))
            text = without_line(without_line(text, each.repo, "config"), each.repo, "architecture")
            text = with_line(text, each.repo, "shape", shape_line(each.hub_shape))
        elif each.name != "repo":
            text = with_field(text, each.repo, each.name, each.hub)
    return text


def _quoted(value: str) -> str:
    return f'"{value}"'


def _flag(value: bool) -> str:
    return "true" if value else "false"
