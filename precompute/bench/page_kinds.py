"""Addresses of every kind of page of a made-up atlas, to ask of a small one and of a large one alike.

Both show as much: only what they are chosen from is more. All addresses of a kind differ, where the page can differ at all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from precompute.annotations.document import complete as complete_annotation
from precompute.annotations.document import parse_annotation
from precompute.circuits.circuit import complete, parse_circuit
from precompute.store.annotations import Annotations
from precompute.store.user_db import UserDb

MODEL = "synthetic"
COPY = "copy"
"""What the names of layers of other copies of the network begin with."""
LIST_ID, LABEL_ID, CIRCUIT_ID = "list-of-bench23456789", "label-of-bench23456789", "circuit-of-bench23456789"
DEEP = 4
"""Pages into a list that are called deep."""
_NOW = "2026-01-01T00:00:00+00:00"
Read = Callable[[str], Mapping[str, Any]]
Kinds = dict[str, list[str]]


def write_people(atlas: Path) -> None:
    """Write a list, a label and a circuit, so that their pages can be asked for."""
    first, second = ({"model": MODEL, "layer": "conv_stem", "unit": unit} for unit in (0, 1))
    documents: tuple[dict[str, Any], ...] = (
        {"kind": "label", "id": LABEL_ID, "about": first, "text": "stripes"},
        {"kind": "list", "id": LIST_ID, "title": "Some units", "items": [first, second]},
    )
    for document in documents:
        annotation = parse_annotation(json.dumps(document | {"created_at": _NOW}))
        Annotations(atlas).add(complete_annotation(annotation, {MODEL: "0" * 64}))
    circuit = {"id": CIRCUIT_ID, "model": MODEL, "title": "Two units", "units": [{"layer": "conv_stem", "unit": 0}]}
    UserDb(atlas).add(complete(parse_circuit(json.dumps(circuit)), "0" * 64, _NOW))


def page_kinds(read: Read, num_each: int) -> Kinds:
    """Return the addresses of each kind of page, without twins.

    Args:
        read: Returns the JSON at an address.
        num_each: How many of each kind.
    """
    drawn = _Drawn(read, num_each)
    return (
        drawn.models()
        | drawn.layers()
        | drawn.unit_pages()
        | drawn.all_units()
        | drawn.images()
        | drawn.searches()
        | drawn.others()
    )


class _Drawn:
    """Addresses drawn by chance, the same for equal atlases.

    Args:
        read: Returns the JSON at an address.
        num_each: How many of each kind.
    """

    def __init__(self, read: Read, num_each: int) -> None:
        self._read = read
        self._num_each = num_each
        self._random = random.Random(0)
        model = read(f"/api/v1/models/{MODEL}")
        # The last layer feeds something only where another copy follows.
        self._layers = [layer for layer in model["layers"] if not layer["name"].startswith(COPY)][:-1]
        self._num_images: int = model["num_images"]
        self._units = f"/models/{MODEL}/units"

    def _each(self, make: Callable[[int], str]) -> list[str]:
        return [make(place) for place in range(self._num_each)]

    def _layer(self) -> str:
        return f"/models/{MODEL}/{self._random.choice(self._layers)['name']}"

    def _unit(self) -> str:
        layer = self._random.choice(self._layers)
        return f"/models/{MODEL}/{layer['name']}/{self._random.randrange(layer['num_units'])}"

    def _near(self, value: float) -> str:
        return f"{value + self._random.uniform(-0.02, 0.02):.6f}"

    def _image(self) -> int:
        return self._random.randrange(1, self._num_images)

    def _deep(self, page: str) -> str:
        """Return the address of a page far into a list."""
        address = f"/api/v1{page}"
        for _ in range(DEEP):
            address = self._read(address)["next"] or address
        return address.removeprefix("/api/v1")

    def models(self) -> Kinds:
        """Return those of the atlas and of a model."""
        return {
            "home": ["/"],
            "model": [f"/models/{MODEL}"],
            "model_progress": [f"/fragments/models/{MODEL}/progress"],
        }

    def layers(self) -> Kinds:
        """Return those of one layer."""
        return {
            "layer": self._each(lambda place: f"{self._layer()}?limit={40 + place}"),
            "layer_sorted": self._each(lambda place: f"{self._layer()}?sort=max&limit={40 + place}"),
            "layer_filtered": self._each(
                lambda _: f"{self._layer()}?min.mean={self._near(0.1)}&max.max={self._near(0.9)}&sort=std"
            ),
            "layer_facets": self._each(lambda _: f"{self._layer()}?visualization=no&min.mean={self._near(0.1)}"),
            "layer_map": self._each(lambda place: f"{self._layer()}?view=map&limit={40 + place}"),
            "layer_embedded": self._each(lambda place: f"{self._layer()}?embed=1&limit={40 + place}"),
            "motifs": [f"/models/{MODEL}/{layer['name']}/motifs?kind=union" for layer in self._layers[1:3]],
        }

    def unit_pages(self) -> Kinds:
        """Return those of one unit."""
        pairs = [(self._layers[place], self._layers[place + 3]) for place in range(len(self._layers) - 3)][:4]
        return {
            "unit": self._each(lambda _: self._unit()),
            "unit_embedded": self._each(lambda _: f"{self._unit()}?embed=1"),
            "weights": self._each(lambda _: f"{self._unit()}/weights"),
            "inputs": self._each(lambda _: f"{self._unit()}/weights?direction=inputs"),
            "outputs": self._each(lambda _: f"{self._unit()}/weights?direction=outputs"),
            "factors": [f"/models/{MODEL}/{layer['name']}/{layer['num_units'] - 1}/factors" for layer in self._layers[2:4]],
            "paths": [f"/models/{MODEL}/{late['name']}/1/paths?to={early['name']}/2&count=1" for early, late in pairs],
            "common": [f"/models/{MODEL}/{layer['name']}/1/common?with={layer['name']}/2" for layer in self._layers[:8]],
            "similar": [f"/models/{MODEL}/{layer['name']}/{unit}/similar" for layer in self._layers[1:4] for unit in range(4)],
        }

    def all_units(self) -> Kinds:
        """Return those of all units of a model."""
        page = self._units
        two = f"{page}?min.mean=0.2&max.max=0.7"
        return {
            "units": self._each(lambda place: f"{page}?limit={40 + place}"),
            "units_sorted": self._each(lambda place: f"{page}?sort={('max', 'sparsity')[place % 2]}&limit={40 + place}"),
            "units_one_range": self._each(lambda _: f"{page}?min.mean={self._near(0.4)}&order=desc"),
            "units_two_ranges": self._each(lambda _: f"{page}?min.mean={self._near(0.2)}&max.max={self._near(0.7)}&sort=std"),
            "units_six_ranges": self._each(lambda _: f"{page}?{self._six_ranges()}&sort=sparsity"),
            "units_narrow": self._each(
                lambda _: f"{page}?min.mean={self._near(0.4)}&max.mean={self._near(0.6)}&sort=mean&order=asc"
            ),
            "units_status": self._each(lambda _: f"{page}?status=ok&min.mean={self._near(0.2)}&sort=max"),
            "units_without": self._each(lambda _: f"{page}?visualization=no&max.mean={self._near(0.7)}&sort=max&order=asc"),
            "units_of_layers": self._each(lambda _: f"{page}?layer=*&kind=channel&min.mean={self._near(0.2)}&sort=max"),
            "units_labelled": self._each(lambda place: f"{page}?label=nothing+{place}"),
            "units_deep": [self._deep(f"{two}&sort={sort}") for sort in ("std", "index")],
        }

    def _six_ranges(self) -> str:
        names = ("mean", "max", "std", "fraction_active", "sparsity", "min")
        return "&".join(f"min.{name}={self._near(0.04)}&max.{name}={self._near(0.96)}" for name in names)

    def images(self) -> Kinds:
        """Return those of images, and what looks like them."""
        return {
            "stimulus": self._each(lambda _: f"/stimuli/{self._image()}"),
            "stimulus_of_layer": self._each(
                lambda _: f"/stimuli/{self._image()}?layer={self._random.choice(self._layers)['name']}"
            ),
            "stimulus_deep": [self._deep(f"/stimuli/{self._image()}?limit=20") for _ in range(2)],
            "search_example": self._each(lambda _: f"/search/example?stimulus={self._image()}"),
            "search_example_deep": [self._deep(f"/search/example?stimulus={self._image()}") for _ in range(3)],
        }

    def searches(self) -> Kinds:
        """Return those of names; what is found fills a page in both atlases, or is found in both as it is."""
        return {
            "search": ["/search"],
            "search_number": self._each(lambda place: f"/search?q={place % 8}&limit={20 + place}"),
            "search_layers": [f"/search?q={q}&limit=10" for q in ("conv", "conv_dw", "c", "co", "pw", "conv_pw")],
            "search_layer_number": self._each(lambda place: f"/search?q=conv+{place % 8}&limit={10 + place % 8}"),
            "search_images": self._each(lambda place: f"/search?q=label+{place}"),
            "search_many": [f"/search?q={q}&limit=20" for q in ("l", "label", "1", "10", "p", "png")],
            "search_nothing": [f"/search?q={q}" for q in ("zzyzx", "blcoks", "conv_stme", "qqq+7")],
            "search_suggestions": [f"/search?q={q}&limit=8" for q in ("c", "co", "con", "conv", "la", "lab", "3", "b")],
        }

    def others(self) -> Kinds:
        """Return those that compare, and of what people wrote."""
        names = [layer["name"] for layer in self._layers]
        listed = [f"{MODEL}/{name}:0-7" for name in names[:8]]
        new = f"/circuits/new?model={MODEL}&units={names[0]}/1,{names[1]}/1"
        return {
            "compare": ["/compare"],
            "compare_units": [
                f"/compare?layer={MODEL}/{name}&units={unit},{unit + 1}" for name in names[:5] for unit in range(4)
            ],
            "compare_layers": [f"/compare?left={MODEL}/{names[0]}&right={MODEL}/{name}" for name in names[1:4]],
            "lists": ["/lists"],
            "list": [f"/lists/{LIST_ID}"],
            "list_quick": [f"/lists/quick?units={units}" for units in listed],
            "list_new": [f"/lists/new?from={self._units}"],
            "annotations": ["/annotations", f"/annotations?model={MODEL}"],
            "annotation": [f"/annotations/{LABEL_ID}"],
            "annotation_new": [f"/annotations/new?about={self._unit()}"],
            "circuits": ["/circuits", f"/circuits?model={MODEL}"],
            "circuit": [f"/circuits/{CIRCUIT_ID}"],
            "circuit_new": [new],
            "docs": ["/docs"],
            "words": ["/docs/words"],
        }


def plain_kinds(layers: Sequence[str]) -> Kinds:
    """Return the addresses that are no pages and have no twin: a way to a unit, and whole tables of a layer."""
    bulk = f"/api/v1/models/{MODEL}"
    return {
        "random": [f"/random?seed={seed}" for seed in range(20)],
        "bulk_units": [f"{bulk}/units.jsonl?layer={layer}&min.mean=0.1" for layer in layers[:4]],
        "bulk_metrics": [f"{bulk}/metrics.jsonl?layer={layer}&metric=max" for layer in layers[:4]],
    }
