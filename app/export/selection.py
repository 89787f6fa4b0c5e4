"""Which units a site shows: a list of them, or all of some models and layers."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.dependencies import check_unit
from precompute.errors import UnknownName, UsageError
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

_FORM = "Write MODEL/LAYER:1.2.8-11;MODEL/LAYER:4."


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


def read_list(text: str) -> str:
    """Return a list of units from what `--list` was given: the list itself, or a file that holds one."""
    if "/" in text and ":" in text and not Path(text).is_file():
        return text
    path = Path(text)
    if not path.is_file():
        raise UsageError(f"--list {text!r} is neither a file nor a list of units. {_FORM}")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--list {text!r} cannot be read: {error}.") from error
    return ";".join(line.partition("#")[0].strip() for line in lines)


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
            start = check_unit(layer, first)
            units.update(range(start, (check_unit(layer, last) if dash else start) + 1))
    return found


def _everything(catalogs: Mapping[str, Catalog]) -> dict[tuple[str, str], Iterable[int]]:
    return {
        (model_id, name): range(layer.spec.num_units)
        for model_id, catalog in catalogs.items()
        for name, layer in catalog.layers.items()
    }
