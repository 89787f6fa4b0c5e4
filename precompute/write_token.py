"""The token that allows writing, in a file: never in a command line or in the environment, where others could read it."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from precompute.errors import UsageError

VARIABLE = "UNITSCOPE_WRITE_TOKEN_FILE"
SHORTEST = 16


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises:
        UsageError: The file cannot be read, or holds no token that would be hard to guess.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
        raise UsageError(f"The token file {path} cannot be read: {reason}. {_HOW}") from error
    if len(token) < SHORTEST or not token.isprintable() or " " in token:
        raise UsageError(f"The token in {path} is no single word of at least {SHORTEST} letters. {_HOW}")
    return token


def make_token_file() -> tuple[str, Path]:
    """Return a new token, and a file that only this user can read with it in it."""
    token = secrets.token_urlsafe(24)
    descriptor, path = tempfile.mkstemp(prefix="unitscope-token-")
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    return token, Path(path)


_HOW = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(24))' > token"
