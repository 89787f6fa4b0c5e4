"""Where the small pictures of units are that annotations name, whatever models they are of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.contexts import SubjectPart
from app.drawing.shapes import Cut, sheet


def subject_cuts(
    subjects: Iterable[SubjectPart], size_px: int, placed: tuple[str, Mapping[tuple[str, int], Cut]] | None = None
) -> dict[str, Cut]:
    """Return where the small picture of each unit is, by the address of its page; images and layers have none.

    `placed` has pictures of units of one model that the page shows anyhow: they are taken where they are there.
    """
    by_model: dict[str, dict[tuple[str, int], SubjectPart]] = {}
    for one in subjects:
        if one.thumbnail is not None and one.model is not None and one.layer is not None and one.unit is not None:
            by_model.setdefault(one.model, {})[one.layer, one.unit] = one
    cuts: dict[str, Cut] = {}
    shown_of, shown = placed or ("", dict[tuple[str, int], Cut]())
    for key, cut in shown.items():
        one = by_model.get(shown_of, {}).pop(key, None)
        if one is not None:
            cuts[one.links["html"] or ""] = cut
    for model_id, units in by_model.items():
        keys = ((layer, unit, one.thumbnail) for (layer, unit), one in units.items())
        for key, cut in sheet(model_id, keys, size_px).items():
            cuts[units[key].links["html"] or ""] = cut
    return cuts
