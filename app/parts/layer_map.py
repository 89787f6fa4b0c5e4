"""The map of a layer: its units in the plane, those near each other that answer to the same images."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from app import urls
from app.contexts import LayerMap, Place
from app.dependencies import Visit
from app.parts.summaries import page_links
from app.pictures.thumbs import layer_thumbnails
from precompute.domain import LAYOUT
from precompute.errors import UsageError
from precompute.store.listing import ListedUnit
from precompute.store.responses import layer_array


def map_of(visit: Visit, units: Sequence[ListedUnit]) -> LayerMap:
    """Return some units of a layer with their places.

    Raises:
        UsageError: The places are not built yet.
    """
    layer = visit.layer
    found = layer_array(visit.reader, visit.catalog, layer, LAYOUT)
    if found is None:
        raise UsageError(
            f"{layer.name} has no map yet. `unitscope build … --techniques similar_units` makes it; without view=map the page "
            "shows the units as a grid."
        )
    pictures = layer_thumbnails(visit.reader, visit.catalog, layer, [unit.index for unit in units])
    places: list[list[float]] = found.array.tolist()
    items: list[Place] = []
    for unit in units:
        x, y = places[unit.index]
        is_placed = isfinite(x) and isfinite(y)
        items.append(
            Place(
                index=unit.index,
                label=unit.label,
                x=round(x, 5) if is_placed else None,
                y=round(y, 5) if is_placed else None,
                thumbnail=pictures.get(unit.index),
                links=page_links(urls.unit(layer.model_id, layer.name, unit.index)),
            )
        )
    return LayerMap(
        items=items,
        method=found.payload["method"],
        num_images=found.payload["num_images"],
        k=found.payload["k"],
        neighbours_kept=found.payload["neighbours_kept"],
        neighbours_kept_by_chance=found.payload["neighbours_kept_by_chance"],
    )
