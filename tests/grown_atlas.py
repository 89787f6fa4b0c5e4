"""Two made-up atlases, one eight times as large as the other, and what it takes to make a page of them, without a clock."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import event

from app.dependencies import AtlasDoor, Visit
from app.pages import PAGES
from app.pages.docs import docs_page
from app.parts.share import share_of
from app.query import Query
from app.settings import AppSettings
from app.templating import Templates
from app.twins import page_at
from precompute.bench import synthetic_atlas
from precompute.bench.page_kinds import write_people
from precompute.bench.synthetic_atlas import Layer, grow_atlas, make_synthetic_atlas

NUM_LAYERS = 30
NUM_UNITS = 30
NUM_COPIES = 8
ALL_PAGES = (*PAGES, docs_page(PAGES, lambda: {"paths": {}}))
_EVERY = 10
"""Steps of the database between two looks at them."""


def small_network() -> list[Layer]:
    """Return layers as `synthetic_atlas.plan_layers` does: as many as fill a page of a search, one after the other."""
    names = ["conv_stem", *(f"blocks.{place // 8}.{place % 8}.conv_{('pw', 'dw')[place % 2]}" for place in range(NUM_LAYERS - 2))]
    layers: list[Layer] = []
    for name in [*names, "conv_head"]:
        operation = "depthwise" if name.endswith("dw") else "convolution"
        layers.append((name, NUM_UNITS, 14, 31, operation, [layers[-1][0]] if layers else []))
    return layers


def make_grown_atlases(folder: Path) -> tuple[Path, Path]:
    """Write both and return their folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_atlas, "plan_layers", small_network)
        patch.setattr(synthetic_atlas, "NUM_STIMULI", 160)
        patch.setattr(synthetic_atlas, "SIDE", 64)
        small, large = folder / "small", folder / "large"
        make_synthetic_atlas(small)
        grow_atlas(small, large, NUM_COPIES)
    for atlas in (small, large):
        write_people(atlas)
    return small, large


@lru_cache(maxsize=1)
def _templates() -> Templates:
    """Return the templates, which are those of every atlas."""
    return Templates(AppSettings(Path()))


class Watched:
    """An atlas whose pages are made in this thread, without answers that are kept.

    Args:
        atlas: Its folder.

    Attributes:
        statements: What the database was asked, in full.
        num_steps: How many steps of its machine that took, about.
    """

    def __init__(self, atlas: Path) -> None:
        settings = AppSettings(atlas, max_kept_bytes=0, max_ready_bytes=0)
        self._door = AtlasDoor(settings)
        self._templates = _templates()
        self.statements: list[str] = []
        self.num_steps = 0
        engine = self._door.reader().engine
        event.listen(engine, "connect", self._watch)
        engine.dispose()

    def _watch(self, connection: Any, _record: object) -> None:
        connection.set_trace_callback(self.statements.append)
        connection.set_progress_handler(self._step, _EVERY)

    def _step(self) -> None:
        self.num_steps += _EVERY

    def make(self, address: str) -> str:
        """Return a page, or its twin."""
        is_api = address.startswith("/api/v1")
        path, _, query = address.removeprefix("/api/v1").partition("?")
        page, names = page_at(PAGES, path)
        page, names = (page, names) if page is not None else _other(path)
        asked = Query(parse_qsl(query, keep_blank_values=True), page.parameters)
        visit = Visit(self._door, names, asked, path, address.removeprefix("/api/v1"), is_api)
        context = page.build(visit)
        if is_api:
            return context.model_dump_json()
        template = page.embed_template if asked.text("embed") == "1" else None
        share = None if page.is_fragment or template else share_of(page.name, visit, context)
        return self._templates.render(context, path=path, share=share, template=template)

    def read(self, address: str) -> dict[str, Any]:
        """Return the JSON of a twin."""
        return json.loads(self.make(address))

    def cost(self, address: str) -> tuple[int, int]:
        """Return how many functions are called for a page, and how many steps the database takes."""
        calls = 0

        def count(_frame: object, happened: str, _argument: object) -> None:
            nonlocal calls
            calls += happened in ("call", "c_call")

        self.num_steps = 0
        sys.setprofile(count)
        try:
            self.make(address)
        finally:
            sys.setprofile(None)
        return calls, self.num_steps


def _other(path: str) -> tuple[Any, dict[str, str]]:
    """Return the page at an address that `page_at` leaves out: the documentation, and parts of pages."""
    for page in ALL_PAGES:
        parts, asked = page.path.split("/"), path.split("/")
        if len(parts) == len(asked) and all(one == other or one.startswith("{") for one, other in zip(parts, asked, strict=True)):
            return page, {part[1:-1]: name for part, name in zip(parts, asked, strict=True) if part.startswith("{")}
    raise LookupError(path)
