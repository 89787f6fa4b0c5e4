"""Links that name a build of a model: right, of a build with other results, or of other weights or images."""

from __future__ import annotations

import re

from app import urls
from app.dependencies import Visit
from app.query import Parameter
from precompute.errors import OtherBuild, UsageError
from precompute.store.builds import build_of

BUILD = Parameter("build", "The build that the link was made for: if the atlas holds another, the answer says so, or is 410")
_BUILD = re.compile(r"[0-9a-f]{8}-[0-9a-f]{6}")


def check_build(visit: Visit) -> str | None:
    """Return the address of the page as it is now where a link names a build with other results; None where all is well.

    Raises:
        OtherBuild: The atlas now holds the model with other weights or images.
        UsageError: No build looks like that.
    """
    asked = visit.query.text("build")
    if not asked:
        return None
    if not _BUILD.fullmatch(asked):
        raise UsageError(f"build={asked[:40]!r} is no build. Take a pinned link as it is, or leave 'build' out.")
    current = build_of(visit.reader, visit.catalog)
    if asked == str(current):
        return None
    values = {name: value for name, value in visit.query.values.items() if name != "build"}
    latest = urls.with_query(visit.address, values)
    if asked.partition("-")[0] != current.identity:
        raise OtherBuild(
            f"This link was made for build {asked} of {visit.catalog.model.id}. The atlas now holds build {current}, made from "
            f"other weights or shown other images: a unit of the same number may be another. As it is now: {latest}"
        )
    return latest
