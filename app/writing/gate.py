"""Who may write: nobody by default; with a token where the server was started for it. Checked before a body is read."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from email import message_from_bytes
from email.policy import HTTP
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request

from app.settings import AppSettings
from precompute.errors import NotJson, OtherOrigin, ReadOnly, TokenNeeded, TooLarge, UsageError

MAX_BODY_BYTES = 256 * 1024
_FORM_EXTRA_BYTES = 8 * 1024  # names of fields, boundaries, the token
MAX_FIELDS = 12


class WriteGate:
    """Lets those write who know the token.

    Args:
        settings: Whether there is one.
    """

    def __init__(self, settings: AppSettings) -> None:
        self._token = settings.write_token

    def check_open(self, request: Request) -> None:
        """Refuse where the server only reads, or where the page of another site asks.

        Raises:
            ReadOnly: It does.
            OtherOrigin: It is.
        """
        if self._token is None:
            raise ReadOnly(
                "This server only reads. Start it with `unitscope serve --atlas DIR --write`, which prints a token, or use "
                "`unitscope circuits import` or `unitscope annotations import FILE --atlas DIR` on its machine."
            )
        if not is_same_origin(request.headers):
            raise OtherOrigin("The page of another site sent this. Open this server's own page and send it from there.")

    def check_token(self, given: str) -> None:
        """Refuse where the token is missing or another.

        Raises:
            TokenNeeded: It is.
        """
        known = (self._token or "").encode()
        if self._token is None or not hmac.compare_digest(known, given.encode("utf-8", "surrogatepass")):
            asked = "The token is another one." if given else "Writing needs the token."
            raise TokenNeeded(
                f"{asked} `unitscope serve --write` printed it when it started. It goes into the token field of a form; programs "
                "send it as `Authorization: Bearer TOKEN`."
            )

    async def read_json_body(self, request: Request) -> bytes:
        """Return the body of a request that may write.

        Raises:
            WriteRefused: It may not, it is too large, or no JSON.
        """
        self.check_call(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise NotJson(f"The body is {kind[:80]!r}. Send JSON, with the header `Content-Type: application/json`.")
        return await read_body(request, MAX_BODY_BYTES)

    def check_call(self, request: Request) -> None:
        """Refuse a call of a program that may not write.

        Raises:
            WriteRefused: It may not.
        """
        self.check_open(request)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        self.check_token(given.strip() if scheme.lower() == "bearer" else "")

    async def read_form(self, request: Request) -> dict[str, str]:
        """Return the fields of a form; its token is checked by the caller, who shows the form again.

        Raises:
            WriteRefused: The server only reads, another site asks, or it is too large.
        """
        self.check_open(request)
        return parse_form(
            request.headers.get("content-type", ""), await read_body(request, 2 * MAX_BODY_BYTES + _FORM_EXTRA_BYTES)
        )


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Return whether a request comes from one of our own pages, or from no page at all.

    Browsers say so in `Sec-Fetch-Site`, and older ones name the origin; a program sends neither.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        is_ours = site in {"same-origin", "none"}
        return is_ours and (origin in {None, "null"} or _is_host(origin, headers))
    return origin is None or _is_host(origin, headers)


def _is_host(origin: str | None, headers: Mapping[str, str]) -> bool:
    try:
        parts = urlsplit(origin or "")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == headers.get("host", "").lower() != ""


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request, and stop reading where it is larger than may be.

    Raises:
        TooLarge: It is.
    """
    said = request.headers.get("content-length", "")
    if said.isdigit() and (len(said) > 12 or int(said) > limit):
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body may have at most {limit // 1024} kB. Split it into several.")


def parse_form(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form, files among them, as text.

    Raises:
        UsageError: It is no form, or not of ours.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            text = body.decode()
            given = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_FIELDS, errors="strict")
            if len(dict(given)) != len(given):
                raise ValueError("a field is given twice")
            return dict(given)
        if kind == "multipart/form-data":
            return _parts(content_type, body)
    except (ValueError, LookupError) as error:
        raise UsageError("The form cannot be read: send UTF-8 text in the fields that the page has.") from error
    raise UsageError(f"This is no form but {kind[:80]!r}. Use the page, or the API with JSON.")


def _parts(content_type: str, body: bytes) -> dict[str, str]:
    message = message_from_bytes(b"Content-Type: " + content_type.encode("ascii") + b"\r\n\r\n" + body, policy=HTTP)
    if not message.is_multipart():
        raise ValueError("no parts")
    found: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes) or name in found or len(found) == MAX_FIELDS:
            raise ValueError("not a field of ours")
        found[name] = content.decode("utf-8-sig")
    return found
