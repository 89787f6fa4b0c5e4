"""How the visualizations of a unit are told: which leads, in which groups the others stand, and their scores in words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from app import urls
from app.contexts import UnitPage, Visualization
from app.drawing.shapes import Cut, SheetLayout
from app.words import glossary
from app.words.formats import number, percent, words

TILE_PX = 256
"""Side of a picture on the sheet of all pictures of a unit: sharp on a dense screen."""


@dataclass(frozen=True)
class Shown:
    """A visualization in its place.

    Attributes:
        picture: The visualization.
        title: What it is, in a word or two.
        term: The glossary's name for that.
        cut: Where it is on the sheet, or None where its file is missing.
    """

    picture: Visualization
    title: str
    term: str
    cut: Cut | None


@dataclass(frozen=True)
class Group:
    """Visualizations that answer one question."""

    title: str
    term: str
    shown: list[Shown]


@dataclass(frozen=True)
class Doubt:
    """One thing that speaks against a picture, or tells how it came about."""

    title: str
    text: str
    is_warning: bool


@dataclass(frozen=True)
class Phrase:
    """One score in words, with the term that explains it."""

    text: str
    term: str


@dataclass(frozen=True)
class ScoreRow:
    """One score in the table of all scores."""

    title: str
    value: str
    text: str


def sheet(model_id: str, layer: str, unit: int, names: Sequence[str]) -> tuple[str, str, SheetLayout]:
    """Return the address, the version and the layout of the sheet of all pictures of a unit, given the names of their files."""
    version = hashlib.sha256("|".join([str(TILE_PX), *names]).encode()).hexdigest()[:16]
    return urls.pictures(model_id, layer, unit, version), version, SheetLayout(len(names), TILE_PX)


def leading(pictures: Sequence[Visualization]) -> Visualization | None:
    """Return the picture that stands for a unit: the first that drives it up, else the first."""
    up = [found for found in pictures if found.sign == "positive" and not _is_facet(found)]
    ours = [found for found in up if found.parameterization == "fourier"]
    return next(iter([*ours, *up, *pictures]), None)


def groups(page: UnitPage) -> list[Group]:
    """Return the pictures of a unit in groups; the leading picture is there again where another drives the unit up, too."""
    cuts = _cuts(page)
    lead = leading(page.visualizations)
    up: list[Shown] = []
    down: list[Shown] = []
    facets: list[Shown] = []
    seeds: list[Shown] = []
    ways: list[Shown] = []
    seen: set[tuple[str, str]] = set()
    for picture, cut in zip(page.visualizations, cuts, strict=True):
        about = (picture.objective, picture.sign)
        if _is_facet(picture):
            place = len(facets) if picture.facet is None else picture.facet
            facets.append(Shown(picture, f"Facet {place + 1}", "facet", cut))
        elif picture.parameterization != "fourier":
            ways.append(Shown(picture, words(picture.parameterization), f"parameterization_{picture.parameterization}", cut))
            continue
        elif about in seen:
            seeds.append(Shown(picture, f"Seed {picture.seed}", "seed", cut))
        else:
            side = up if picture.sign == "positive" else down
            side.append(Shown(picture, words(picture.objective), f"objective_{picture.objective}", cut))
        seen.add(about)
    if [shown.picture for shown in up] == [lead]:
        up = []
    if lead is not None and lead.sign != "positive":
        down = [shown for shown in down if shown.picture is not lead]
    facets.sort(key=lambda shown: shown.picture.facet or 0)
    listed = [
        Group("Most", "most", up),
        Group("Least", "least", down),
        Group("Facets", "facet", facets),
        Group("Other seeds", "seed", seeds),
        Group("Other ways", "parameterization", [shown for shown in ways if shown.picture is not lead]),
    ]
    return [group for group in listed if group.shown]


def _is_facet(picture: Visualization) -> bool:
    return picture.objective == "diversity" or picture.facet is not None


def _cuts(page: UnitPage) -> list[Cut | None]:
    names = [None if found.image is None else found.image.rpartition("/")[2] for found in page.visualizations]
    url, _, layout = sheet(page.model, page.layer, page.index, [name for name in names if name is not None])
    cuts: list[Cut | None] = []
    place = 0
    for name in names:
        if name is None:
            cuts.append(None)
            continue
        x, y = layout.corner(place)
        cuts.append(Cut(url, x, y, TILE_PX, TILE_PX, layout.width, layout.height))
        place += 1
    return cuts


def doubts(picture: Visualization) -> list[Doubt]:
    """Return what speaks against a picture: its flags, and its status where no flag says the same."""
    found = [Doubt(glossary.name(f"flag_{flag}", words(flag)), glossary.explain(f"flag_{flag}"), True) for flag in picture.flags]
    if picture.status != "ok" and picture.status not in picture.flags:
        term = f"status_{picture.status}"
        found.append(Doubt(words(picture.status), glossary.explain(term), picture.status != "rescued"))
    return found


def phrases(picture: Visualization, num_units: int) -> list[Phrase]:
    """Return the scores of a picture as words with numbers, the most telling first."""
    return [*_strength(picture), *_belief(picture, num_units)]


def _strength(picture: Visualization) -> list[Phrase]:
    found: list[Phrase] = []
    most = "strongest" if picture.sign == "positive" else "lowest"
    if picture.reached_ratio is not None:
        found.append(Phrase(f"{number(picture.reached_ratio, 2)}× the {most} photograph", "reached_ratio"))
    elif picture.activation is not None and picture.dataset_max is not None:
        text = f"reached {number(picture.activation)}, the {most} photograph {number(picture.dataset_max)}"
        found.append(Phrase(text, "reached_ratio"))
    if picture.robustness is not None:
        found.append(Phrase(f"keeps {percent(round(picture.robustness, 2))} under small changes", "robustness"))
    return found


def _belief(picture: Visualization, num_units: int) -> list[Phrase]:
    scores, found = picture.scores, list[Phrase]()
    if scores is None:
        return found
    against = set(picture.flags)
    if scores.selectivity_rank is not None:
        place = "first" if scores.selectivity_rank == 1 else ordinal(scores.selectivity_rank)
        found.append(Phrase(f"this unit answers {place} of {num_units:,}", "selectivity_rank"))
    if scores.similarity_auc is not None:
        verdict = "does not look like its examples" if "unlike_examples" in against else "likeness to its examples"
        found.append(Phrase(f"{verdict}: {number(scores.similarity_auc, 2)}, chance 0.5", "similarity_auc"))
    if scores.path_similarity is not None:
        verdict = "takes another path than photographs" if "other_path" in against else "path like that of its examples"
        theirs = "" if scores.path_baseline is None else f", theirs {number(scores.path_baseline, 2)}"
        found.append(Phrase(f"{verdict}: {number(scores.path_similarity, 2)}{theirs}", "path_similarity"))
    if scores.high_frequency_excess is not None and "high_frequency" in against:
        text = f"more fine detail than photographs ({number(scores.high_frequency_excess, 2)})"
        found.append(Phrase(text, "high_frequency_excess"))
    if scores.seed_agreement is not None:
        verb = "disagree" if "seeds_disagree" in against else "agree"
        found.append(Phrase(f"other seeds {verb} ({number(scores.seed_agreement, 2)})", "seed_agreement"))
    return found


def score_table(picture: Visualization) -> list[ScoreRow]:
    """Return every score of a picture with what it means; a dash where it was not measured."""
    scores = picture.scores
    values: dict[str, str] = {
        "reached_ratio": "–" if picture.reached_ratio is None else f"{number(picture.reached_ratio)}×",
        "robustness": percent(picture.robustness),
    }
    for name in (
        "selectivity_rank",
        "selectivity_margin",
        "similarity_auc",
        "path_similarity",
        "path_baseline",
        "path_chance",
        "high_frequency_excess",
        "seed_agreement",
    ):
        values[name] = number(None if scores is None else getattr(scores, name))
    return [ScoreRow(glossary.name(name, words(name)), value, glossary.explain(name)) for name, value in values.items()]


def ordinal(value: int) -> str:
    """Return a place in an order as a word.

    >>> [ordinal(value) for value in (1, 2, 3, 11, 22, 113, 1204)]
    ['1st', '2nd', '3rd', '11th', '22nd', '113th', '1,204th']
    """
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{ending}"
