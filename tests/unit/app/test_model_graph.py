"""The diagram of a model: blocks, branches side by side, what an addition skips."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from fastapi.testclient import TestClient

from app.contexts import LayerOnModel
from app.drawing.blocks import GAP_PX, MAX_COLUMNS, MAX_LANES, RANK_PX, Link, draw_block, lanes_of, links_of
from app.drawing.models import MAX_LAYERS, model_graph

INCEPTION = {
    "mixed3a_1x1": ["conv2d2"],
    "mixed3a_3x3_bottleneck": ["conv2d2"],
    "mixed3a_3x3": ["mixed3a_3x3_bottleneck"],
    "mixed3a_5x5_bottleneck": ["conv2d2"],
    "mixed3a_5x5": ["mixed3a_5x5_bottleneck"],
    "mixed3a_pool_reduce": ["conv2d2"],
}
ENDS = ["mixed3a_1x1", "mixed3a_3x3", "mixed3a_5x5", "mixed3a_pool_reduce"]


def layers_of(inputs: dict[str, list[str]]) -> list[LayerOnModel]:
    """Return layers with these names and inputs."""
    return [
        LayerOnModel(
            name=name,
            kind="channel",
            num_units=8,
            map_size=[14, 14],
            receptive_field_px=3 + place,
            stride_px=1,
            inputs=before,
            outputs=[later for later, sources in inputs.items() if name in sources],
            links={"html": f"/models/m/{name}", "self": f"/api/v1/models/m/{name}"},
            operation="convolution",
            nonlinearity="relu",
            position=place,
            coverage=[],
            samples=[],
        )
        for place, (name, before) in enumerate(inputs.items())
    ]


def residual(blocks: int) -> dict[str, list[str]]:
    """Return a network in which each block of two layers is added to what entered it."""
    found: dict[str, list[str]] = {"stem": []}
    stream = ["stem"]
    for block in range(blocks):
        found[f"blocks.0.{block}.a"] = list(stream)
        found[f"blocks.0.{block}.b"] = [f"blocks.0.{block}.a"]
        stream.append(f"blocks.0.{block}.b")
    found["head"] = list(stream)
    return found


def test_branches_stand_side_by_side() -> None:
    layers = layers_of({"conv2d2": [], **INCEPTION, "mixed3b_1x1": ENDS})
    blocks = model_graph(layers)
    assert [(block.name, len(block.layers)) for block in blocks] == [("conv2d2", 1), ("mixed3a", 6), ("mixed3b", 1)]
    drawing = blocks[1].drawing
    assert drawing is not None
    places = {node.short_name: (rank, node.column) for rank, nodes in enumerate(drawing.ranks) for node in nodes}
    assert places == {
        "1x1": (0, 0),
        "3x3_bottleneck": (0, 1),
        "3x3": (1, 1),
        "5x5_bottleneck": (0, 2),
        "5x5": (1, 2),
        "pool_reduce": (0, 3),
    }
    assert drawing.arcs == [], "nothing is skipped between branches"
    assert drawing.height == 2 * RANK_PX + GAP_PX


def test_lines_lead_from_card_to_card() -> None:
    layers = layers_of({"conv2d2": [], **INCEPTION, "mixed3b_1x1": ENDS})
    drawing = model_graph(layers)[1].drawing
    assert drawing is not None
    ends = {(line.x2, line.y2) for line in drawing.lines}
    for column in range(4):
        assert (25.0 * column, GAP_PX) in ends, "each branch is entered from above"
    starts = {(line.x1, line.y1) for line in drawing.lines}
    assert {(25.0, RANK_PX), (50.0, RANK_PX)} <= starts, "from bottleneck to branch"
    assert all(0 <= line.x1 < 100 and 0 <= line.x2 < 100 and 0 <= line.y1 <= line.y2 <= drawing.height for line in drawing.lines)


def test_additions_are_paths_around_blocks() -> None:
    links = links_of(layers_of(residual(3)))
    around = [(link.source, link.target) for link in links if link.is_around]
    assert around == [
        ("blocks.0.0.a", "blocks.0.1.a"),
        ("blocks.0.1.a", "blocks.0.2.a"),
        ("blocks.0.2.a", "head"),
    ]
    assert Link("stem", "blocks.0.2.a") not in links, "what was added before comes by the path around, not by a line of its own"
    assert len(links) == 3 * 2 + 1 + 3, "one line into each layer, and one path around each block"


def test_network_without_additions_has_no_path_around() -> None:
    assert [link for link in links_of(layers_of({"conv2d2": [], **INCEPTION, "next": ENDS})) if link.is_around] == []


def test_paths_around_share_a_lane_where_they_do_not_meet() -> None:
    layers = layers_of(residual(6))
    drawing = next(block for block in model_graph(layers) if block.name == "blocks").drawing
    assert drawing is not None
    assert len(drawing.arcs) == 6
    assert len({re.findall(r"Q(\S+) ", arc)[0] for arc in drawing.arcs}) == 1
    assert lanes_of([(0, 10), (10, 20), (0, 20)]) == [0, 0, 1]
    assert max(lanes_of([(0, n + 1) for n in range(30)])) == MAX_LANES - 1


def test_layer_that_is_skipped_past_a_neighbour_gets_an_arc() -> None:
    layers = layers_of({"b.0": [], "b.1": ["b.0"], "b.2": ["b.1", "b.0"]})
    drawing = draw_block(layers, links_of(layers), "b")
    assert len(drawing.arcs) == 1
    straight = draw_block(layers[:2], links_of(layers[:2]), "b")
    assert straight.arcs == []


def test_ending_that_all_names_share_is_left_out() -> None:
    drawing = draw_block(layers_of({"m.b1.conv": [], "m.b2.conv": ["m.b1.conv"]}), [], "m")
    assert [node.short_name for rank in drawing.ranks for node in rank] == ["b1", "b2"]
    drawing = draw_block(layers_of({"m.b1.conv": [], "m.b2.linear": []}), [], "m")
    assert [node.short_name for rank in drawing.ranks for node in rank] == ["b1.conv", "b2.linear"]


def test_long_blocks_are_divided_and_no_layer_is_lost() -> None:
    names = [f"blocks.{stage}.{block}.{part}" for stage in range(3) for block in range(5) for part in ("pw", "dw", "se", "pwl")]
    chain = dict(zip(names, [[], *([name] for name in names)], strict=False))
    blocks = model_graph(layers_of(chain))
    assert [block.name for block in blocks] == ["blocks.0", "blocks.1", "blocks.2"]
    assert [layer.name for block in blocks for layer in block.layers] == names
    assert all(len(block.layers) <= MAX_LAYERS for block in blocks)


def test_link_past_a_block_is_on_the_rail_of_every_block_between() -> None:
    chain = {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a"]}
    rails = [block.rail for block in model_graph(layers_of(chain))]
    assert [len(rail.lines) for rail in rails] == [0, 1, 1, 1], "what enters b leads around b and c to d"
    assert rails[2].lines[0].endswith("V100")
    plain = [block.rail for block in model_graph(layers_of({"a": [], "b": ["a"], "c": ["b"]}))]
    assert [rail.lines for rail in plain] == [[], [], []]


@pytest.mark.parametrize("count", [MAX_COLUMNS, MAX_COLUMNS + 1, 3 * MAX_COLUMNS])
def test_many_branches_wrap(count: int) -> None:
    layers = layers_of({f"b.{n}": [] for n in range(count)})
    drawing = draw_block(layers, [], "b")
    assert sum(len(rank) for rank in drawing.ranks) == count
    assert len(drawing.ranks) == -(-count // MAX_COLUMNS)


def test_every_layer_is_linked_on_the_page(client: TestClient) -> None:
    html = client.get("/models/tiny_a").text
    layers: Sequence[dict[str, object]] = client.get("/api/v1/models/tiny_a").json()["layers"]
    for layer in layers:
        assert f'href="/models/tiny_a/{layer["name"]}"' in html
    assert html.count('class="layer-card"') == len(layers)
