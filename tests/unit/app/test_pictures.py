"""The visualizations of a unit: what is told of them, in which groups, and that atlases of older versions still do."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.contexts import Scores, UnitPage, Visualization
from app.pages.units import _scores
from app.parts import visualizations
from app.words import glossary
from tests.fixture_atlas import FLAGS, SCORES

FULL = "/models/tiny_a/blocks.0.pw/7"
OLD = "/models/tiny_b/blocks.0.pw/7"


def unit_page(client: TestClient, address: str) -> UnitPage:
    return UnitPage.model_validate_json(client.get(f"/api/v1{address}").text)


def made(**known: object) -> Visualization:
    """Return a picture of which only some things are known."""
    numbers = dict.fromkeys(("activation", "activation_shown", "dataset_max", "reached_ratio", "robustness"))
    others = dict.fromkeys(("image", "canvas_px", "steps", "seed", "transforms", "quality", "variant", "facet", "attempt"))
    rest = {"reached_note": None, "scores": None, "command": None, "trace": [], "flags": [], "status": "ok"}
    about = {"objective": "channel", "parameterization": "fourier", "sign": "positive"}
    return Visualization.model_validate(numbers | others | rest | about | known)


def test_pictures_stand_in_groups_and_the_first_leads(client: TestClient) -> None:
    page = unit_page(client, FULL)
    lead = visualizations.leading(page.visualizations)
    assert lead is page.visualizations[0]
    assert {group.title: [shown.title for shown in group.shown] for group in visualizations.groups(page)} == {
        "Most": ["Channel", "Neuron"],
        "Least": ["Channel", "Neuron"],
        "Facets": ["Facet 1", "Facet 2", "Facet 3", "Facet 4"],
        "Other seeds": ["Seed 1", "Seed 2"],
    }


def test_lead_is_not_repeated_where_nothing_stands_beside_it(client: TestClient) -> None:
    assert [group.title for group in visualizations.groups(unit_page(client, OLD))] == ["Least"]


def test_pictures_made_in_other_ways_lead_nothing_and_stand_apart(client: TestClient) -> None:
    page = unit_page(client, FULL)
    by_maco, by_lucent = made(parameterization="maco", seed=0), made(parameterization="lucent", seed=0)
    mixed = page.model_copy(update={"visualizations": [by_maco, *page.visualizations, by_lucent]})
    assert visualizations.leading(mixed.visualizations) is page.visualizations[0]
    shown = {group.title: [one.title for one in group.shown] for group in visualizations.groups(mixed)}
    assert shown["Other ways"] == ["Maco", "Lucent"]
    assert shown["Other seeds"] == ["Seed 1", "Seed 2"]
    assert all(glossary.explain(f"parameterization_{name}") for name in ("maco", "lucent"))
    assert visualizations.leading([by_maco]) is by_maco


def test_older_payloads_have_no_scores_and_their_pages_show(client: TestClient) -> None:
    for picture in unit_page(client, OLD).visualizations:
        assert (picture.scores, picture.flags, picture.trace, picture.facet, picture.variant) == (None, [], [], None, None)
    assert "AUC" not in client.get(OLD).text
    assert "the strongest photograph" in client.get(OLD).text


def test_scores_and_flags_are_those_of_the_atlas(client: TestClient) -> None:
    found = [picture for unit in range(4, 23) for picture in unit_page(client, f"/models/tiny_a/stem/{unit}").visualizations]
    assert {flag for picture in found for flag in picture.flags} == set(FLAGS)
    assert set(Scores.model_fields) == set(SCORES)
    scored = [picture.scores for picture in found if picture.scores is not None]
    assert any(picture.scores is None for picture in found)
    assert any(set(scores.model_dump().values()) == {None} for scores in scored)
    assert any(None not in scores.model_dump().values() for scores in scored)


def test_number_that_is_not_finite_is_null() -> None:
    scores = _scores({"selectivity_rank": float("nan"), "similarity_auc": float("inf"), "path_chance": 0.5})
    assert scores is not None
    assert json.loads(scores.model_dump_json()) == dict.fromkeys(SCORES) | {"path_chance": 0.5}
    assert _scores(None) is None


def test_scores_are_told_in_words_that_follow_the_flags() -> None:
    measured = {
        "selectivity_rank": 1,
        "similarity_auc": 0.874,
        "path_similarity": 0.61,
        "path_baseline": 0.66,
        "seed_agreement": 0.8,
    }
    scores = _scores(measured)
    good = made(reached_ratio=1.8, robustness=0.94, scores=scores)
    assert " · ".join(phrase.text for phrase in visualizations.phrases(good, 80)) == (
        "1.8× the strongest photograph · keeps 94 % under small changes · this unit answers first of 80 · "
        "likeness to its examples: 0.87, chance 0.5 · path like that of its examples: 0.61, theirs 0.66 · other seeds agree (0.8)"
    )
    bad = made(scores=_scores(measured | {"selectivity_rank": 12}), flags=["unlike_examples", "other_path", "seeds_disagree"])
    assert " · ".join(phrase.text for phrase in visualizations.phrases(bad, 80)) == (
        "this unit answers 12th of 80 · does not look like its examples: 0.87, chance 0.5 · "
        "takes another path than photographs: 0.61, theirs 0.66 · other seeds disagree (0.8)"
    )
    assert visualizations.phrases(made(), 80) == []


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_has_a_name_and_a_sentence(flag: str) -> None:
    (doubt,) = visualizations.doubts(made(flags=[flag]))
    assert doubt.is_warning
    assert doubt.title == glossary.NAMES[f"flag_{flag}"]
    assert doubt.text.endswith(".")


@pytest.mark.parametrize("name", [*SCORES, "reached_ratio", "robustness", "path_excess"])
def test_every_score_has_a_name_and_a_sentence_as_a_metric_too(name: str) -> None:
    assert glossary.explain(f"picture_{name}") == glossary.explain(name) != ""
    assert glossary.name(f"picture_{name}", "") == glossary.NAMES[name]


def test_doubt_that_status_and_flag_both_tell_is_told_once() -> None:
    assert len(visualizations.doubts(made(status="dead_start", flags=["dead_start"]))) == 1
    assert [doubt.is_warning for doubt in visualizations.doubts(made(status="rescued"))] == [False]
    assert visualizations.doubts(made(flags=["a_new_one"]))[0].title == "A new one"


def test_command_names_the_facet_only_where_there_is_one(client: TestClient) -> None:
    for picture in unit_page(client, FULL).visualizations:
        words = shlex.split(picture.command or "")
        asked = dict(zip(words[5::2], words[6::2], strict=True))
        expected = {"--objective": picture.objective, "--sign": picture.sign, "--quality": picture.quality}
        expected |= {"--seed": str(picture.seed)}
        if picture.facet is not None:
            expected |= {"--facet": str(picture.facet)}
        assert asked == expected


def test_sheet_of_all_pictures_shows_each_in_its_place(client: TestClient, fixture_atlas: Path) -> None:
    page = unit_page(client, FULL)
    shown = [found for group in visualizations.groups(page) for found in group.shown]
    assert {found.cut.url for found in shown if found.cut} == {shown[0].cut.url if shown[0].cut else ""}
    for found in shown:
        assert found.cut is not None
        answer = client.get(found.cut.url)
        assert "immutable" in answer.headers["cache-control"]
        sheet = Image.open(io.BytesIO(answer.content))
        assert sheet.size == (found.cut.full_width, found.cut.full_height)
        x, y, side = found.cut.x, found.cut.y, found.cut.width
        tile = np.asarray(sheet.crop((x, y, x + side, y + side)).resize((32, 32)), np.float64)
        whole = Image.open(io.BytesIO(client.get(found.picture.image or "").content)).convert("RGB")
        assert np.abs(tile - np.asarray(whole.resize((32, 32)), np.float64)).mean() < 12
    assert client.get(f"{shown[0].cut.url.split('?')[0]}?v=old").headers["cache-control"] == "no-cache" if shown[0].cut else False
    assert client.get("/media/pictures/tiny_a/stem/0.webp").status_code == 404


def test_layer_lists_all_units_at_once_and_sorts_by_scores_of_pictures(client: TestClient) -> None:
    address = "/api/v1/models/tiny_a/stem"
    few = client.get(f"{address}?limit=5&sort=picture_similarity_auc").json()
    everything = client.get(few["links"]["everything"]).text
    assert everything.count('class="sprite"') == 23
    assert everything.count('loading="lazy"') == 23
    assert client.get(f"{address}?limit=4096").json()["links"]["everything"] is None
    assert "Likeness to its examples" in everything
    values = [item["metrics"]["picture_similarity_auc"] for item in few["items"]]
    assert values == sorted(values, reverse=True)
