"""Pages of expanded weights say when composed kernels were cut to the size of the map, and only then."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute.store.writer import AtlasWriter
from tests.fixture_atlas import Plan, _Model, _write_images

SENTENCE = "they were cut to what can be reached on it"


@pytest.fixture(scope="module", params=[2, 16], ids=["small maps", "large maps"])
def visitor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve three layers, each with 3 x 3 kernels on the one before, on maps of one size."""
    names = [("first", "convolution", ()), ("second", "depthwise", ("first",)), ("third", "depthwise", ("second",))]
    layers = tuple(Plan(name, 6, request.param, 7, operation, inputs) for name, operation, inputs in names)
    folder = tmp_path_factory.mktemp("cut") / "atlas"
    writer = AtlasWriter(folder)
    generator = np.random.default_rng(3)
    _write_images(writer, generator)
    _Model(writer, 0, f"maps{request.param}", generator, layers).write()
    writer.close()
    with TestClient(create_app(AppSettings(folder))) as found:
        yield found


@pytest.mark.parametrize(("layer", "direction", "other"), [("third", "inputs", "first"), ("first", "outputs", "third")])
def test_cut_is_told_where_kernels_outgrow_the_map(visitor: TestClient, layer: str, direction: str, other: str) -> None:
    (model,) = [model["id"] for model in visitor.get("/api/v1/").json()["items"]]
    address = f"/models/{model}/{layer}/1/weights?direction={direction}&layer={other}"
    page = visitor.get(f"/api/v1{address}").json()
    is_small = model == "maps2"
    side = 3 if is_small else 5
    assert max(max(item["kernel_shape"]) for item in page["items"]) == side
    assert page["is_cut"] is is_small
    html = visitor.get(address).text
    assert (SENTENCE in html) is is_small
    assert ("larger than the map of first" in html) is is_small


def test_stored_weights_are_never_cut(visitor: TestClient) -> None:
    (model,) = [model["id"] for model in visitor.get("/api/v1/").json()["items"]]
    address = f"/models/{model}/third/1/weights?direction=inputs"
    assert visitor.get(f"/api/v1{address}").json()["is_cut"] is None
    assert SENTENCE not in visitor.get(address).text
