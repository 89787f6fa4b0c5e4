"""The pages, each declared once."""

from __future__ import annotations

from app.pages import (
    annotations,
    circuits,
    compare,
    example,
    factors,
    layers,
    lists,
    model_units,
    models,
    queries,
    search,
    stimuli,
    units,
    weights,
    words,
)

_SHOWN = (
    *models.PAGES,
    *model_units.PAGES,
    *layers.PAGES,
    *queries.LAYER_PAGES,
    *units.PAGES,
    *weights.PAGES,
    *factors.PAGES,
    *queries.PAGES,
    *stimuli.PAGES,
    *search.PAGES,
    *compare.PAGES,
    *example.PAGES,
    *circuits.PAGES,
    *words.PAGES,
)
PAGES = (*_SHOWN, *annotations.PAGES, *lists.list_pages(_SHOWN))
