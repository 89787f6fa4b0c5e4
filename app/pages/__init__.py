"""The pages, each declared once."""

from __future__ import annotations

from app.pages import factors, layers, models, search, stimuli, units, weights

PAGES = (*models.PAGES, *layers.PAGES, *units.PAGES, *weights.PAGES, *factors.PAGES, *stimuli.PAGES, *search.PAGES)
