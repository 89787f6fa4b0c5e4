"""Which units a site shows: a list of them, or all of some models and layers."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.dependencies import check_unit
from precompute.annotations.document import UnitList
from precompute.errors import UnknownName, UsageError
from precompute.store.annotations import Annotations
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

_FORM = "Write MODEL/LAYER:1.2.8-11;MODEL/LAYER:4."
_ALL = "*"
"""Written in place of unit numbers: every unit of the layer."""
_LIST_ADDRESS = "/lists/"
_MOST_NAMED = 5


@dataclass(frozen=True)
class Selection:
    """Units of an atlas.

    Attributes:
        units: Indices in order, by model and layer, in the order of the atlas; layers without a chosen unit are left out.
        total: How many units the whole atlas has.
    """

    units: Mapping[str, Mapping[str, Sequence[int]]]
    total: int

    @property
    def num_units(self) -> int:
        """Return how many are chosen."""
        return sum(len(indices) for layers in self.units.values() for indices in layers.values())

    @property
    def words(self) -> str:
        """Return what part of the atlas it is, in one line."""
        if self.num_units == self.total:
            return f"A whole atlas as files: {self.total:,} units. Nothing here needs a server."
        return f"Part of an atlas: {self.num_units:,} of {self.total:,} units. Names without a link are not in this copy."

    def has(self, model_id: str, layer_name: str, unit: int) -> bool:
        """Return whether a unit is chosen."""
        return unit in self.units.get(model_id, {}).get(layer_name, ())


def select(reader: AtlasReader, listed: str | None, models: Sequence[str], globs: Sequence[str]) -> Selection:
    """Return the chosen units of an atlas.

    Args:
        reader: The atlas.
        listed: A list of units, `MODEL/LAYER:1.2.8-11;…`; None for all.
        models: Only these models; none for all.
        globs: Only layers whose name fits one of these patterns; none for all.

    Raises:
        UsageError: A model, layer or unit does not exist, or nothing is left.
    """
    revision = reader.revision()
    known = [model.id for model in reader.models()]
    for name in models:
        if name not in known:
            raise UnknownName("model", name, known, where="This atlas")
    catalogs = {name: reader.catalog(name, revision) for name in known}
    wanted = _everything(catalogs) if listed is None else parse_list(catalogs, listed)
    chosen: dict[str, dict[str, Sequence[int]]] = {}
    for model_id, catalog in catalogs.items():
        layers: dict[str, Sequence[int]] = {
            name: sorted(wanted[model_id, name])
            for name in catalog.layers
            if wanted.get((model_id, name)) and (not globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs))
        }
        if layers and (not models or model_id in models):
            chosen[model_id] = layers
    if not chosen:
        raise UsageError("No unit is chosen: --list, --model and --layers together leave none. Leave one of them out.")
    return Selection(chosen, sum(catalog.model.num_units for catalog in catalogs.values()))


def read_list(text: str, annotations: Annotations) -> str:
    """Return the units that `--list` names: written out, in a file, or in a list that people made.

    Args:
        text: Units as `parse_list` takes them, the path of a file with such lines, or the id or address of a list.
        annotations: What people said about the atlas.

    Raises:
        UsageError: It is none of these.
    """
    if "/" in text and ":" in text and not Path(text).is_file() and _LIST_ADDRESS not in text:
        return text
    path = Path(text)
    if not path.is_file():
        return _written_out(text, annotations)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--list {text!r} cannot be read: {error}.") from error
    return ";".join(line.partition("#")[0].strip() for line in lines)


def _written_out(text: str, annotations: Annotations) -> str:
    """Return the units of a list that people made; a layer in it stands for all its units."""
    wanted = text.rpartition(_LIST_ADDRESS)[2].partition("?")[0]
    try:
        found = annotations.annotation(wanted)
    except UnknownName as error:
        known = [one.id or "" for one in annotations.recent(kind="list", limit=_MOST_NAMED)[0]]
        said = f" Lists of this atlas: {', '.join(known)}." if known else ""
        raise UsageError(f"--list {text!r} is no file, no list of units and no list of this atlas.{said} {_FORM}") from error
    if not isinstance(found, UnitList):
        raise UsageError(f"--list {text!r} is a {found.kind}, not a list.")
    if not found.items:
        raise UsageError(f"--list {text!r}: the list {found.title!r} is empty. Add units to it first.")
    return ";".join(f"{item.model}/{item.layer}:{_ALL if item.unit is None else item.unit}" for item in found.items)


def parse_list(catalogs: Mapping[str, Catalog], text: str) -> dict[tuple[str, str], set[int]]:
    """Return the units that a list names, by model and layer.

    Raises:
        UsageError: It is no list, or names what does not exist.
    """
    found: dict[tuple[str, str], set[int]] = {}
    for group in (part.strip() for part in text.split(";")):
        if not group:
            continue
        place, colon, runs = group.rpartition(":")
        model_id, slash, layer_name = place.partition("/")
        if not colon or not slash:
            raise UsageError(f"{group[:80]!r} does not name units. {_FORM}")
        if model_id not in catalogs:
            raise UnknownName("model", model_id, catalogs, where="This atlas")
        layer = catalogs[model_id].layer(layer_name)
        units = found.setdefault((model_id, layer_name), set())
        for run in runs.split("."):
            first, dash, last = run.partition("-")
            if run == _ALL:
                units.update(range(layer.spec.num_units))
                continue
            start = check_unit(layer, first)
            units.update(range(start, (check_unit(layer, last) if dash else start) + 1))
    return found


def _everything(catalogs: Mapping[str, Catalog]) -> dict[tuple[str, str], Iterable[int]]:
    return {
        (model_id, name): range(layer.spec.num_units)
        for model_id, catalog in catalogs.items()
        for name, layer in catalog.layers.items()
    }
