"""What tells one build of a model from another: a link that names it keeps its meaning, or says that it lost it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select

from precompute.store import schema
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog


@dataclass(frozen=True)
class Build:
    """A build of a model.

    Attributes:
        identity: Stands for the weights, the images and how they were prepared: what a unit is, and what it was shown.
        results: Stands for the runs that made the results: versions, settings and seeds.
    """

    identity: str
    results: str

    def __str__(self) -> str:
        """Return it as links say it."""
        return f"{self.identity}-{self.results}"


def build_of(reader: AtlasReader, catalog: Catalog) -> Build:
    """Return the build of a model that an atlas holds; the same in every copy of the atlas."""
    found = catalog.held.get("build")
    if found is None:
        model = catalog.model
        architecture = model.spec.partition("@")[0]
        rows = reader.all(select(schema.run.c.id).where(schema.run.c.model_id == model.id).order_by(schema.run.c.id))
        found = catalog.held["build"] = Build(
            _hash(architecture, model.weights_sha256, model.dataset_id, model.input_key)[:8],
            _hash(*(str(row["id"]) for row in rows))[:6],
        )
    return found


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
