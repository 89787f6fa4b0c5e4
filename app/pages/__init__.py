"""The pages, each declared once."""

from __future__ import annotations

from app.pages import circuits, layers, models, search, stimuli, units, weights

PAGES = (*models.PAGES, *layers.PAGES, *units.PAGES, *weights.PAGES, *stimuli.PAGES, *search.PAGES, *circuits.PAGES)
