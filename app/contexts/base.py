"""What all pages share: parts, pages, numbers that JSON can say."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Links = dict[str, str | None]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
Whole = Annotated[int | None, BeforeValidator(_finite)]


class Part(BaseModel):
    """A piece of a page."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class Context(Part):
    """A page."""

    template: ClassVar[str]


class Stage(Part):
    """How far one technique is."""

    technique: str
    done: int = Field(description="Units done; a unit counts once for each variant (objective, sign, quality)")
    failed: int
    todo: int


class Progress(Part):
    """What a running build is doing."""

    stage: str
    num_done: int
    num_total: int
    per_second: Number
    seconds_left: Number
    is_running: bool = Field(description="False where the build has said nothing for 30 s: it was stopped")


class UnitSample(Part):
    """A unit as a picture."""

    layer: str
    index: int
    thumbnail: str | None
    is_visualization: bool = Field(False, description="Whether the picture is known to be a visualization, and not photographs")
    links: Links
