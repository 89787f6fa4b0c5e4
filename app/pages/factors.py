"""The patterns that the weights of a unit, or of several units of its layer, are made of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

import numpy as np
from numpy.typing import NDArray

from app import urls
from app.contexts import (
    Factor,
    FactorControl,
    FactorPartner,
    FactorPicture,
    FactorsPage,
    LayerChoice,
)
from app.dependencies import Visit, check_unit
from app.pages.units import build_links
from app.parts.summaries import page_links
from app.pictures.thumbs import layer_thumbnails, thumbnails
from app.query import Parameter
from app.twins import Page
from precompute.circuits.factors import MAX_FACTORS, Factorization, factorize
from precompute.errors import UnknownName, UsageError
from precompute.store.arrays import Direction
from precompute.store.expanded import any_kernels, layers_in_reach

DEFAULT_K = 3
MAX_UNITS = 24
MAX_LOOKED_AT = 4
"""So many layers are looked at for larger kernels; composing weights takes time."""
NUM_PARTNERS = 8
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255), (255, 0, 255), (255, 255, 0))
CONTROL = "The weights of each unit are dealt anew to all its partners and places, and factored in the same way."
_UNITS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
PARAMETERS = (
    Parameter("direction", "Weights from which side", choices=("inputs", "outputs"), default="inputs"),
    Parameter("layer", "The layer of the partners", default="the first in that direction"),
    Parameter("k", f"How many patterns, 1 to {MAX_FACTORS}", kind="integer", default=str(DEFAULT_K)),
    Parameter("units", f"More units of this layer, factored together with it: `3,5,8-11`, at most {MAX_UNITS} in all"),
    Parameter("scale", "One scale for the pictures of all units, or each its own", choices=("view", "each"), default="view"),
    Parameter("seed", "Of the restarts and of the shuffles", kind="integer", default="0"),
)


def build_factors(visit: Visit) -> FactorsPage:
    """Return the patterns of a unit."""
    layer, query = visit.layer, visit.query
    direction = cast("Direction", query.choice("direction", "inputs"))
    neighbours = list(layer.spec.inputs if direction == "inputs" else layer.spec.outputs)
    reach = layers_in_reach(visit.reader, visit.catalog, layer.name, direction)
    partner_layer = _partner_layer(visit, direction, neighbours, reach)
    k = query.integer("k", DEFAULT_K, 1, MAX_FACTORS)
    seed = query.integer("seed", 0, 0, 999_999)
    units = _units(visit)
    partners, weights, is_exact = _stack(visit, direction, partner_layer, units)
    is_alone = visit.catalog.layers[visit.layer.name].spec.num_units > 1 and len(partners) == 1
    if is_alone:
        units = units[:1]
    found = None
    if weights.size and np.isfinite(weights).all() and weights.any():
        found = _factored(visit, (direction, partner_layer, tuple(units), k, seed), weights, k, seed)
    maps = np.zeros((0, len(units), 1, 1)) if found is None else found.maps
    pictures, full = _pictures(visit, units, found, is_each=query.choice("scale") == "each")
    control = None if found is None or found.control is None else FactorControl(what=CONTROL, **asdict(found.control))
    return FactorsPage(
        model=layer.model_id,
        layer=layer.name,
        unit=visit.unit,
        direction=direction,
        partner_layer=partner_layer,
        num_partners=len(partners),
        kernel_shape=list(weights.shape[2:]) if weights.size else None,
        exact=is_exact,
        k=k,
        units=units,
        factors=[] if found is None else _factors(visit, partner_layer, partners, found),
        pictures=pictures,
        full=full,
        error=None if found is None else found.error,
        control=control,
        seed=seed,
        notes=_notes(weights, len(maps), is_alone=is_alone),
        larger=_larger(visit, direction, reach) if weights.shape[2:] == (1, 1) else [],
        layers=[*neighbours, *(name for name in reach if name not in neighbours)],
        query=query.values,
        links=build_links(visit)
        | {
            "html": visit.full_address,
            "self": urls.twin(visit.full_address),
            "unit": visit.address.removesuffix("/factors"),
            "kernels": urls.weights(
                layer.model_id, layer.name, visit.unit, direction=direction, layer=partner_layer, view="kernels"
            ),
        },
    )


def _partner_layer(visit: Visit, direction: Direction, neighbours: list[str], reach: list[str]) -> str:
    asked = visit.query.text("layer")
    if not neighbours and not reach:
        other = "outputs" if direction == "inputs" else "inputs"
        side = "before" if direction == "inputs" else "after"
        raise UsageError(f"No layer comes directly {side} {visit.layer.name}. Ask for direction={other} instead.")
    if asked and asked not in neighbours and asked not in reach:
        raise UnknownName("layer", asked, reach or neighbours, where=f"{visit.layer.name} ({direction})")
    return asked or (neighbours or reach)[0]


def _stack(
    visit: Visit, direction: Direction, partner_layer: str, units: Sequence[int]
) -> tuple[Sequence[int], NDArray[np.float64], bool]:
    """Return the partners, the kernels `[unit, partner, height, width]` of some units, and whether they are exact.

    Where each unit has a partner of its own (a depthwise convolution), only those of the first unit.
    """
    partners, kernels, is_exact = any_kernels(visit.side(direction, units[0]), partner_layer)
    if len(partners) < 2:
        return partners, kernels[None], is_exact
    others = [any_kernels(visit.side(direction, unit), partner_layer)[1] for unit in units[1:]]
    return partners, np.stack([kernels, *others]), is_exact


def _units(visit: Visit) -> list[int]:
    """Return the unit and those that are factored together with it, without repeats."""
    text = visit.query.text("units").replace(" ", "")
    if text and not _UNITS.fullmatch(text):
        raise UsageError(f"units={text[:80]!r} is not a list of units. Write 3,5,8-11.")
    found = [visit.unit]
    for run in text.split(",") if text else []:
        first, _, last = run.partition("-")
        start, stop = check_unit(visit.layer, first), check_unit(visit.layer, last or first) + 1
        found += range(start, min(stop, start + MAX_UNITS + 1))
    found = list(dict.fromkeys(found))
    if len(found) > MAX_UNITS:
        raise UsageError(f"'units' names more than {MAX_UNITS} units with this one. Ask for fewer.")
    return found


def _factored(visit: Visit, what: object, weights: NDArray[np.float64], k: int, seed: int) -> Factorization:
    """Return the patterns; those that were asked for last are kept, for the page and its twin."""
    kept = visit.reader.kept(visit.revision)
    key = ("factors", visit.address, what)
    latest: dict[object, Factorization] = kept.get("latest factors", {})
    if key not in latest:
        latest = {key: factorize(weights, k, seed=seed)}
        kept["latest factors"] = latest
    return latest[key]


def _factors(visit: Visit, partner_layer: str, partners: Sequence[int], found: Factorization) -> list[Factor]:
    sizes = np.hypot(found.positive, found.negative)
    chosen: list[list[int]] = []
    for row in sizes:
        order: list[int] = np.argsort(-row, kind="stable")[:NUM_PARTNERS].tolist()
        chosen.append([place for place in order if row[place] > 0])
    wanted = sorted({partners[place] for places in chosen for place in places})
    pictures = thumbnails(visit.reader, visit.catalog, {partner_layer: wanted})
    model_id = visit.catalog.model.id
    return [
        Factor(
            colour=_hex(COLOURS[factor]),
            share=float(found.shares[factor]),
            positive_share=float(np.square(found.positive[factor]).sum()),
            maps=found.maps[factor].tolist(),
            partners=[
                FactorPartner(
                    layer=partner_layer,
                    unit=partners[place],
                    loading=float(found.loadings[factor, place]),
                    positive=float(found.positive[factor, place]),
                    negative=float(found.negative[factor, place]),
                    thumbnail=pictures.get((partner_layer, partners[place])),
                    links=page_links(urls.unit(model_id, partner_layer, partners[place])),
                )
                for place in places
            ],
        )
        for factor, places in enumerate(chosen)
    ]


def _pictures(
    visit: Visit, units: Sequence[int], found: Factorization | None, *, is_each: bool
) -> tuple[list[FactorPicture], float | None]:
    """Return each unit's patterns in colours, and the largest size of a colour among all."""
    if found is None:
        return [], None
    layer = visit.layer
    colours = np.array(COLOURS[: len(found.maps)], np.float64) / 255
    whole = np.einsum("kuyx,kc->uyxc", found.maps, colours)
    full = float(whole.max()) or 1.0
    fulls = [float(part.max()) or full if is_each else full for part in whole]
    parts = [
        np.einsum("kuyx,kc,k->uyxc", found.maps, colours, np.linalg.norm(side, axis=1))
        for side in (found.positive, found.negative)
    ]
    thumbs = layer_thumbnails(visit.reader, visit.catalog, layer, units)
    labels = visit.reader.labels(layer, units)
    pictures = [
        FactorPicture(
            unit=unit,
            label=labels.get(unit),
            thumbnail=thumbs.get(unit),
            pixels=_pixels(whole[place] / fulls[place]),
            adds=_pixels(parts[0][place] / fulls[place]),
            takes=_pixels(parts[1][place] / fulls[place]),
            full=fulls[place],
            links=page_links(urls.unit(layer.model_id, layer.name, unit)),
        )
        for place, unit in enumerate(units)
    ]
    return pictures, full


def _pixels(picture: NDArray[np.float64]) -> list[list[str]]:
    levels = np.round(255 * np.clip(picture, 0, 1)).astype(int).tolist()
    return [[_hex(pixel) for pixel in row] for row in levels]


def _hex(colour: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _notes(weights: NDArray[np.float64], num_found: int, *, is_alone: bool) -> list[str]:
    if not weights.any():
        return ["The weights of these layers are not built yet, or they are all zero."]
    notes: list[str] = []
    if is_alone:
        notes.append("Each unit has one partner only (a depthwise convolution): there are no partners to tell apart.")
    if weights.shape[2:] == (1, 1):
        notes.append(
            "Kernels between these layers are single numbers: a pattern says which partners go together, and nothing of where."
        )
    columns = len(weights) * weights.shape[2] * weights.shape[3]
    if num_found == min(columns, 2 * weights.shape[1]):
        notes.append(
            f"There are as many patterns as the table has {'columns' if num_found == columns else 'rows'} ({num_found}): "
            "nothing is left over whatever the weights are, and the control cannot tell anything."
            + (" Add units to find what they share." if len(weights) == 1 and not is_alone else "")
        )
    return notes


def _larger(visit: Visit, direction: Direction, reach: Sequence[str]) -> list[LayerChoice]:
    """Return the nearest layers on this side whose kernels have more than one place and more than one partner."""
    layer = visit.layer
    nearest = reversed(reach) if direction == "inputs" else reach
    found: list[LayerChoice] = []
    for name in itertools.islice(nearest, MAX_LOOKED_AT):
        partners, kernels, _ = any_kernels(visit.side(direction), name)
        if len(partners) > 1 and max(kernels.shape[1:]) > 1:
            address = urls.factors(layer.model_id, layer.name, visit.unit, direction=direction, layer=name)
            found.append(LayerChoice(layer=name, direction=direction, kernel_shape=list(kernels.shape[1:]), link=address))
    return found[:2]


PAGES = (
    Page(
        "/models/{model}/{layer}/{unit}/factors",
        "factors",
        "The patterns that the weights of a unit, or of several units, to another layer are made of, with a control.",
        build_factors,
        (FactorsPage,),
        PARAMETERS,
    ),
)
