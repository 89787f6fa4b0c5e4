"""What a build is to do: the model, the images, the layers, and for each technique the work, as rows of the ledger."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from precompute.domain import LayerSpec, check_model_id
from precompute.errors import UnknownName, UsageError
from precompute.models.base import ModelAdapter, load_model
from precompute.optvis.lucent_renderer import check_lucent
from precompute.optvis.variants import Renderer
from precompute.stimuli.base import StimulusSource
from precompute.stimuli.sources import open_source
from precompute.techniques.base import TECHNIQUES, Context, Quality, Technique, WorkItem


@dataclass(frozen=True)
class BuildOptions:
    """What a person asks of a build.

    Attributes:
        spec: The model, `SOURCE:NAME[@WEIGHTS]`.
        images: A folder, or `embedded`.
        atlas: Folder of the atlas.
        name: Id of the model in URLs; None for the architecture's name.
        layers: Patterns of layer names; none for every convolution and linear layer but the classifier.
        units: First and last unit of each range of units that per-unit techniques do, in every layer; None for all.
        techniques: Names; none for all.
        seed: Of every random draw.
        quality: Of feature visualizations.
        renderer: Who makes them: `unitscope`; `maco` or `lucent` for comparison.
        is_partial: Whether the weight file may lack parameters.
        num_workers: Processes, and threads of the pass.
        is_quiet: Plain lines in place of bars.
    """

    spec: str
    images: str
    atlas: Path
    name: str | None = None
    layers: Sequence[str] = ()
    units: tuple[tuple[int, int], ...] | None = None
    techniques: Sequence[str] = ()
    seed: int = 0
    quality: Quality = "draft"
    renderer: Renderer = "unitscope"
    is_partial: bool = False
    num_workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    is_quiet: bool = False


@dataclass
class Plan:
    """A build that has been thought through.

    Attributes:
        options: What was asked.
        adapter: The loaded model.
        source: The checked images.
        layers: The chosen layers.
        techniques: By name, in order of their place on the page.
        items: What each technique has to do.
        model_id: In URLs.
        layer_ids: Row number of each layer that the atlas has of this model; empty until the plan is written.
        known_layers: Those layers, in order of execution; likewise.
        run_id: Of this build; the same for the same code, settings, weights and images.
    """

    options: BuildOptions
    adapter: ModelAdapter
    source: StimulusSource
    layers: list[LayerSpec]
    techniques: dict[str, Technique]
    items: dict[str, list[WorkItem]]
    model_id: str
    run_id: str
    layer_ids: dict[str, int] = field(default_factory=dict)
    known_layers: list[LayerSpec] = field(default_factory=list)

    @property
    def num_images(self) -> int:
        """Return how many images the pass shows."""
        return len(self.source)

    def context(self, **extra: Any) -> Context:
        """Return what a technique may look at."""
        options = self.options
        return replace(Context(self.adapter, self.layers, options.seed, options.quality, options.renderer), **extra)

    def task_keys(self) -> Iterator[dict[str, Any]]:
        """Yield the key of every task of the ledger, in order of technique and item."""
        for technique, items in self.items.items():
            for item in items:
                key = {
                    "model_id": self.model_id,
                    "technique": technique,
                    "layer_id": self.layer_ids[item.layer],
                    "variant": item.variant,
                }
                if not item.is_per_unit:
                    yield key | {"unit_start": 0, "unit_stop": self.adapter.layer(item.layer).num_units}
                    continue
                for unit in item.units:
                    yield key | {"unit_start": unit, "unit_stop": unit + 1}


def make_plan(options: BuildOptions) -> Plan:
    """Load the model, check the images, and find out what there is to do. Writes nothing.

    Raises:
        PublicError: The model, its weights, the images, a layer or a technique are not there.
    """
    TECHNIQUES.load_all()
    for name in options.techniques:
        TECHNIQUES.get(name)
    if options.renderer == "lucent":
        check_lucent()
    source = open_source(options.images)
    adapter = load_model(options.spec, is_partial=options.is_partial)
    source.check()
    model_id = check_model_id(options.name if options.name is not None else adapter.spec.name)
    layers = choose_layers(adapter, options.layers)
    _refuse_empty_units(options, layers)
    techniques = choose_techniques(options.techniques)
    plan = Plan(options, adapter, source, layers, techniques, {}, model_id, run_id=_run_id(options, adapter, source))
    plan.items = {
        name: [_limited(item, options) for item in technique.plan(plan.context())] for name, technique in techniques.items()
    }
    return plan


def _refuse_empty_units(options: BuildOptions, layers: Sequence[LayerSpec]) -> None:
    """Raise UsageError where `--units` names no unit of any layer."""
    largest = max(layers, key=lambda layer: layer.num_units)
    for first, _ in options.units or ():
        if first >= largest.num_units:
            raise UsageError(
                f"No chosen layer has unit {first}: the largest, {largest.name!r}, has 0 to {largest.num_units - 1}. "
                "Choose others with --units A-B."
            )


def _limited(item: WorkItem, options: BuildOptions) -> WorkItem:
    if not item.is_per_unit or options.units is None:
        return item
    ranges = options.units
    return replace(item, units=[unit for unit in item.units if any(first <= unit <= last for first, last in ranges)])


def choose_layers(adapter: ModelAdapter, patterns: Iterable[str]) -> list[LayerSpec]:
    """Return the layers that the patterns name, in order of execution; the default ones where there is no pattern.

    Raises:
        UnknownName: A pattern names no layer.
    """
    everything = adapter.layers()
    wanted = list(patterns)
    if not wanted:
        return [layer for layer in everything if layer.is_default]
    for pattern in wanted:
        if not any(fnmatchcase(layer.name, pattern) for layer in everything):
            hint = f"`unitscope layers {adapter.spec}` lists them; quote patterns with '*'."
            raise UnknownName("layer", pattern, [layer.name for layer in everything], where=adapter.title, hint=hint)
    return [layer for layer in everything if any(fnmatchcase(layer.name, pattern) for pattern in wanted)]


def choose_techniques(names: Iterable[str]) -> dict[str, Technique]:
    """Return some techniques and those that they need, in order of their place on the page; all where none is named."""
    wanted = list(names) or [name for name, _ in TECHNIQUES.items()]
    for name in wanted:  # grows while it is read
        wanted += [needed for needed in TECHNIQUES.get(name).needs if needed not in wanted]
    chosen = [TECHNIQUES.get(name)() for name in dict.fromkeys(wanted)]
    return {technique.name: technique for technique in sorted(chosen, key=lambda technique: technique.position)}


def code_version() -> str:
    """Return the version of this program."""
    return importlib.metadata.version("unitscope")


def _run_id(options: BuildOptions, adapter: ModelAdapter, source: StimulusSource) -> str:
    parts = [code_version(), adapter.weights.sha256, str(adapter.spec), source.id, len(source), options.seed, options.quality]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def parse_units(text: str | None) -> tuple[tuple[int, int], ...] | None:
    """Read `A-B`, `A` alone, or several with commas between.

    >>> parse_units("7,10-12")
    ((7, 7), (10, 12))

    Raises:
        UsageError: It is none of them.
    """
    return None if text is None else tuple(_parse_range(part.strip(), text) for part in text.split(","))


def _parse_range(part: str, text: str) -> tuple[int, int]:
    first, _, last = part.partition("-")
    if not _is_number(first) or (last and not _is_number(last)):
        raise UsageError(f"--units {text!r} is not a range of units. Write --units 0-15, or several: --units 3,7,10-12.")
    bounds = (int(first), int(last or first))
    if bounds[0] > bounds[1]:
        raise UsageError(f"--units {text!r} ends before it begins. Write --units {bounds[1]}-{bounds[0]}.")
    return bounds


def check_seed(seed: int) -> int:
    """Return the seed.

    Raises:
        UsageError: It is negative, or larger than an atlas can hold.
    """
    if not 0 <= seed < 2**63:
        raise UsageError(f"--seed {seed} is not possible. Give a whole number from 0 to {2**63 - 1}.")
    return seed


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
