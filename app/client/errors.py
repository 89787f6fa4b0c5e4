"""What can go wrong between a client and a server."""

from __future__ import annotations


class ClientError(Exception):
    """Base of all errors of the client."""


class ServerNotReached(ClientError):
    """No answer came: the server is not there, or does not answer in time."""


class MissingLibrary(ClientError):
    """A library that an answer is wanted for is not installed."""


class Refused(ClientError):
    """The server answered that it cannot do what was asked.

    Args:
        status: The HTTP status.
        title: In a few words.
        detail: What is wrong and the next step, in the server's words.
        address: What was asked for.
    """

    def __init__(self, status: int, title: str, detail: str, address: str) -> None:
        super().__init__(f"{status} {title}: {detail}" if detail else f"{status} {title}")
        self.status = status
        self.title = title
        self.detail = detail
        self.address = address


class NotFound(Refused):
    """There is no such model, layer, unit or image (404)."""


class BuildGone(Refused):
    """The atlas holds another build than the one that was asked for (410)."""


def refusal(status: int, title: str, detail: str, address: str) -> Refused:
    """Return the error of a status."""
    kind = {404: NotFound, 410: BuildGone}.get(status, Refused)
    return kind(status, title, detail, address)
