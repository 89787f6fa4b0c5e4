"""Numbers and names as people read them; the filters of the templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from app.contexts import PartnersPage
from app.words import glossary

_TURNING = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
MAX_OFFERED = 200
"""Layers that a list to choose from holds: a network of two thousand would double the size of every page."""


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a few significant digits, a real minus sign, and a dash for what is missing.

    >>> number(-0.012345), number(1234567.0), number(None)
    ('−0.0123', '1,230,000', '–')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        text = f"{float(f'{value:.{digits}g}'):,.0f}"
    elif size < 1e-4:
        text = f"{value:.1e}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", "−")


def one_way(text: str) -> str:
    r"""Return text without the characters that turn its direction round, for where no element can isolate it.

    >>> one_way("a\u202eb\u2066c")
    'abc'
    """
    return text.translate(_TURNING)


def count(value: int) -> str:
    """Return a whole number with its thousands set apart.

    >>> count(21008)
    '21,008'
    """
    return f"{value:,}"


def duration(seconds: float | None) -> str:
    """Return how long something takes, in the two largest units.

    >>> duration(3725.0), duration(42.0)
    ('1 h 2 min', '42 s')
    """
    if seconds is None:
        return "not known yet"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def percent(value: float | None) -> str:
    """Return a share as a percentage."""
    return "–" if value is None else f"{number(100 * value)} %"


def share(stage: Any) -> int:
    """Return how much of a stage is done, in whole percent; 100 only when all of it is."""
    total = stage.done + stage.failed + stage.todo
    return 100 * stage.done // total if total else 0


def counted(stage: Any) -> str:
    """Return what a stage counts: a unit has several pictures, one for each objective and sign."""
    return "pictures" if stage.technique == "feature_visualization" else "units"


def words(name: str) -> str:
    """Return a technical name as words.

    >>> words("feature_visualization")
    'Feature visualization'
    """
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def described(value: Any) -> str:
    """Return settings as words, however they are nested.

    >>> described([{"kind": "affine", "shift_px": 3.0}, "jitter"]), described(None)
    ('kind affine, shift px 3.0; jitter', 'none')
    """
    if value is None:
        return "none"
    if isinstance(value, dict):
        known: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return ", ".join(f"{key.replace('_', ' ')} {described(inner)}" for key, inner in known.items())
    if isinstance(value, list):
        listed: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return ("; " if any(isinstance(inner, dict) for inner in listed) else " to ").join(described(inner) for inner in listed)
    return str(value)


def plural(value: int, singular: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "unit"), plural(21008, "unit")
    ('1 unit', '21,008 units')
    """
    return f"{count(value)} {singular}{'' if value == 1 else 's'}"


def sign(value: float | None) -> str:
    """Return `positive`, `negative` or `zero`: the class that colours a weight."""
    if value is None or value == 0:
        return "zero"
    return "positive" if value > 0 else "negative"


def sample_key(sample: Any) -> tuple[str, int, str | None]:
    """Return what a sheet of small pictures needs to know of a unit."""
    return sample.layer, sample.index, sample.thumbnail


def compare_key(unit: Any, model_id: str, layer: str | None = None) -> str:
    """Return the text that names a unit of a list in `units` of a comparison."""
    return f"{model_id}/{layer or unit.layer}/{unit.index}"


def unit_keys(groups: Iterable[Any]) -> list[tuple[str, int, str | None]]:
    """Return what the sheet needs of all units of some paths or motifs, each unit once."""
    return list(dict.fromkeys(partner_key(unit) for group in groups for unit in group.units))


def partner_key(partner: Any) -> tuple[str, int, str | None]:
    """Return what a sheet of small pictures needs to know of a partner."""
    return partner.layer, partner.unit, partner.thumbnail


def similar_keys(page: Any, count: int) -> list[tuple[str, str, int]]:
    """Return model, layer and index of the units most like that of a page, of all layers."""
    found = sorted((*page.similar.within, *page.similar.others), key=lambda item: -item.correlation)
    return [(page.model, item.layer, item.unit) for item in found[:count]]


def sample_key_in(sample: Any, layer: str) -> tuple[str, int, str | None]:
    """Return what a sheet of small pictures needs to know of a unit of a layer."""
    return layer, sample.index, sample.thumbnail


def pictured_key_in(picture: Any, layer: str) -> tuple[str, int, str | None]:
    """Return what a sheet of small pictures needs to know of a unit of a layer with patterns."""
    return layer, picture.unit, picture.thumbnail


def html_address(address: str) -> str:
    """Return the address of the page that a twin's address belongs to."""
    return address.removeprefix("/api/v1")


def tail(text: str, length: int) -> str:
    """Return a name that fits: its end tells more than its beginning.

    >>> tail("features.denseblock1.conv", 8)
    '…k1.conv'
    """
    return text if len(text) <= length else "…" + text[-(length - 1) :]


def head(text: str, length: int) -> str:
    """Return the beginning of a text that fits.

    >>> head("oriented lines", 9)
    'oriented…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def runs(items: Iterable[Any], attribute: str) -> list[list[Any]]:
    """Return neighbouring items with the same value of an attribute as groups, in their order."""
    return [list(group) for _, group in groupby(items, key=lambda item: getattr(item, attribute))]


def is_metric_range(name: str) -> bool:
    """Return whether a query parameter limits a metric."""
    return name.startswith(("min.", "max."))


def is_of_picture(name: str) -> bool:
    """Return whether a metric of a unit is a score of its leading picture."""
    return name.startswith("picture_")


def metric_groups(metrics: Iterable[Any]) -> list[tuple[str, list[Any]]]:
    """Return metrics under two headings: what the unit does, and how good its leading picture is."""
    listed = list(metrics)
    groups = [
        ("The unit", [metric for metric in listed if not is_of_picture(metric.name)]),
        ("Its picture", [metric for metric in listed if is_of_picture(metric.name)]),
    ]
    return [group for group in groups if group[1]]


def options(facets: dict[str, int], prefix: str = "") -> list[tuple[str, str, int]]:
    """Return values of a facet to choose from: the value, its name in plain words, and how many units have it."""
    pairs = facets.items()
    return [(value, glossary.name(f"{prefix}{value}", words(value)), number) for value, number in pairs]


def without(query: dict[str, str], *names: str) -> dict[str, str]:
    """Return query parameters without some of them."""
    return {key: value for key, value in query.items() if key not in names}


def merged(query: dict[str, str], name: str, value: str) -> dict[str, str]:
    """Return query parameters with one more, or another value of it."""
    return query | {name: value}


def combined(query: dict[str, str], name: str, value: str | None) -> dict[str, str]:
    """Return query parameters with one more; without it where it is None."""
    return query if value is None else query | {name: value}


def far_layers(page: PartnersPage) -> list[str]:
    """Return the layers beyond those next to a unit that a list offers, the nearest first, and the one that was chosen."""
    chosen = page.query.get("layer")
    nearest = page.reach[::-1] if page.direction == "inputs" else page.reach
    far = [name for name in nearest if name not in page.layers]
    return [name for place, name in enumerate(far) if place < MAX_OFFERED or name == chosen]


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "count": count,
    "duration": duration,
    "percent": percent,
    "share": share,
    "counted": counted,
    "words": words,
    "described": described,
    "plural": plural,
    "sign": sign,
    "sample_key": sample_key,
    "partner_key": partner_key,
    "unit_keys": unit_keys,
    "compare_key": compare_key,
    "sample_key_in": sample_key_in,
    "pictured_key_in": pictured_key_in,
    "html_address": html_address,
    "tail": tail,
    "head": head,
    "one_way": one_way,
    "runs": runs,
    "far_layers": far_layers,
    "combined": combined,
    "metric_groups": metric_groups,
    "options": options,
    "merged": merged,
}
