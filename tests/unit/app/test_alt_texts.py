"""What pictures are, in words."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from app.contexts import Histogram, Visualization
from app.words import alt_texts

PICTURE = {
    "objective": "channel",
    "parameterization": "fourier",
    "image": None,
    "activation": 3.6,
    "activation_shown": None,
    "dataset_max": 2.0,
    "reached_ratio": 1.8,
    "robustness": None,
    "canvas_px": 96,
    "steps": 80,
    "seed": 0,
    "status": "ok",
    "transforms": None,
    "sign": "positive",
    "quality": "draft",
    "variant": None,
    "facet": None,
    "attempt": None,
    "trace": [],
    "reached_note": None,
    "scores": None,
    "flags": [],
    "command": None,
}


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        ({}, ": reaches 1.8 times the strongest photograph"),
        ({"objective": "neuron"}, " at the middle position: reaches 1.8 times the strongest photograph"),
        ({"sign": "negative"}, ", driven down: reaches 1.8 times the lowest photograph"),
        ({"facet": 1}, ", facet 2: reaches 1.8 times the strongest photograph"),
        ({"reached_ratio": None, "dataset_max": -0.2}, ": reaches 3.6, photographs −0.2"),
        ({"status": "dead_start"}, ": no start made the unit respond"),
        ({"reached_ratio": None, "activation": None}, ""),
    ],
)
def test_picture_says_how_far_it_came(changes: dict[str, object], ending: str) -> None:
    picture = Visualization.model_validate({**PICTURE, **changes})
    text = alt_texts.visualization(picture, "channel", 12, "blocks.3")
    assert text == f"Feature visualization of channel 12 of blocks.3{ending}"


def test_histogram_says_its_range_and_its_peak() -> None:
    found = Histogram(edges=[-2.0, 0.0, 2.0, 4.0], counts=[1, 7, 2])
    assert alt_texts.histogram(found, 0.25) == (
        "Histogram of the pre-activation, from −2 to 4, most often from 0 to 2; above zero at 25 % of all positions"
    )
    assert alt_texts.histogram(Histogram(edges=[], counts=[]), None) == "Histogram of the pre-activation"


def test_pages_use_them(client: TestClient) -> None:
    page = client.get("/models/tiny_a/blocks.0.pw/7").text
    picture = client.get("/api/v1/models/tiny_a/blocks.0.pw/7").json()["visualizations"][0]
    ratio = f"{picture['reached_ratio']:.2g}"
    assert f'alt="Feature visualization of channel 7 of blocks.0.pw: reaches {ratio} times the strongest photograph"' in page
