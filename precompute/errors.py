"""Everything that can go wrong and may be shown to a user.

    PublicError                  text is safe to show; carries an HTTP status and an exit code
    |-- UsageError               what was asked cannot be asked (exit 2, HTTP 400)
    |   |-- TooManyWeights       composing them would take too long, or too much memory
    |   `-- UnknownName          a name that does not exist, with the closest that does (HTTP 404)
    |-- WeightsError             a weight file that is missing, unreadable or does not fit
    |-- ImagesError              an image folder that is missing, unreadable or empty
    |-- OtherBuild               a link to a build that the atlas no longer holds (HTTP 410)
    |-- NotOffered               something that this server cannot do as it was started or installed (HTTP 501)
    |-- AtlasError               an atlas that is missing, of a newer schema, locked, or full
    |-- TooManyListeners         as many follow builds as may (HTTP 503)
    |-- WriteRefused             something that may not be written, or not so
    |   |-- ReadOnly             the server only reads (HTTP 403)
    |   |-- OtherOrigin          another site's page asked (HTTP 403)
    |   |-- TokenNeeded          the token is missing or another (HTTP 401)
    |   |-- TooLarge             the body is larger than may be (HTTP 413)
    |   |-- NotJson              the body is of another kind (HTTP 415)
    |   `-- Conflict             it is there already, or was changed meanwhile (HTTP 409)
    `-- ServeError               the server cannot start (port in use)

Any other exception is a defect of ours: the page shows "internal error" and an identifier, never its text.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from heapq import nlargest


class PublicError(Exception):
    """An error whose text is safe and useful to show to the person who caused it."""

    http_status = 500
    exit_code = 1
    title = "Error"

    @property
    def detail(self) -> str:
        """Return the text to show."""
        return str(self)


class UsageError(PublicError):
    """A request that makes no sense as it stands, whatever is stored."""

    http_status = 400
    exit_code = 2
    title = "Bad request"


class TooManyListeners(PublicError):
    """As many connections follow running builds as the server keeps open."""

    http_status = 503
    title = "Too many listeners"


class TooManyWeights(UsageError):
    """Weights that would take too long to compose while somebody waits, or too much memory."""


class UnknownName(UsageError):
    """A name that does not exist where it was looked for.

    Args:
        kind: What was looked for, in the words of the glossary ("model", "layer", "unit").
        asked: The name as it was given.
        known: The names that exist.
        where: Whose names these are ("resnet18", "this atlas"); optional.
        hint: The next step, as a full sentence; optional.
    """

    http_status = 404
    title = "Not found"

    def __init__(self, kind: str, asked: str, known: Iterable[str], where: str = "", hint: str = "") -> None:
        names = [str(name) for name in known]
        text = f"{where} has no {kind} {asked!r}." if where else f"There is no {kind} {asked!r}."
        close = closest_names(asked, names)
        if close:
            text += f" Did you mean {' or '.join(repr(name) for name in close)}?"
        if names:
            shown = "" if len(names) > 12 or close else f": {', '.join(names)}"
            text += f" It has {len(names)}{shown}." if where else f" There are {len(names)}{shown}."
        if hint:
            text += f" {hint}"
        super().__init__(text)
        self.kind = kind
        self.asked = asked
        self.closest = close


class WeightsError(PublicError):
    """A weight file that is missing, unreadable, or does not fit the model."""

    exit_code = 2
    http_status = 400
    title = "Weights do not fit"


class ImagesError(PublicError):
    """An image folder that is missing, unreadable or holds no usable image."""

    exit_code = 2
    http_status = 400
    title = "No images"


class AtlasError(PublicError):
    """An atlas that is missing, of another schema, or cannot be written."""

    http_status = 503
    exit_code = 1
    title = "Atlas not usable"


class OtherBuild(PublicError):
    """A link to a build of a model that the atlas no longer holds."""

    http_status = 410
    title = "Another build"


class NotOffered(PublicError):
    """Something that this server cannot do as it was started or installed."""

    http_status = 501
    title = "Not offered here"


class WriteRefused(PublicError):
    """Something that may not be written, or not in this way; nothing was changed."""

    http_status = 403
    exit_code = 1
    title = "Not written"


class ReadOnly(WriteRefused):
    """The server only reads."""

    title = "Read-only"


class OtherOrigin(WriteRefused):
    """The page of another site sent the request."""

    title = "Another site"


class TokenNeeded(WriteRefused):
    """The token that allows writing is missing, or another one."""

    http_status = 401
    title = "Token needed"


class TooLarge(WriteRefused):
    """The body of a request is larger than it may be."""

    http_status = 413
    title = "Too large"


class NotJson(WriteRefused):
    """The body of a request is of another kind than JSON."""

    http_status = 415
    title = "Not JSON"


class Conflict(WriteRefused):
    """What would be written is there already, or was changed meanwhile."""

    http_status = 409
    title = "Conflict"


class ServeError(PublicError):
    """The server cannot start."""

    exit_code = 1
    title = "Cannot serve"


def closest_names(asked: str, known: Iterable[str], count: int = 2) -> list[str]:
    """Return up to `count` of the known names that look most like `asked`; of very many, the likeliest are looked at.

    >>> closest_names("layer4.2.relu4", ["layer4.2.act3", "layer1.0.conv1", "fc"], count=1)
    ['layer4.2.act3']
    """
    names = tuple(known)
    if len(names) > _MANY_NAMES:
        names = _likeliest(asked.lower(), names)
    folded = {name.lower(): name for name in names}
    found = difflib.get_close_matches(asked.lower(), folded, n=count, cutoff=0.6)
    return [folded[name] for name in found]


_MANY_NAMES = 200
_NUM_LIKELY = 50


def _pairs(name: str) -> set[str]:
    return {name[place : place + 2] for place in range(len(name) - 1)}


@lru_cache(maxsize=8)
def _places_by_pair(names: tuple[str, ...]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        for pair in _pairs(name.lower()):
            found.setdefault(pair, []).append(place)
    return found


def _likeliest(asked: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that share most pairs of letters with a text, for their length."""
    places = _places_by_pair(names)
    shared = Counter[int]()
    for pair in _pairs(asked):
        shared.update(places.get(pair, ()))
    best = nlargest(_NUM_LIKELY, shared, key=lambda place: (shared[place] / (len(asked) + len(names[place])), -place))
    return tuple(names[place] for place in sorted(best))
