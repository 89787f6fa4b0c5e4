"""Starting the app as a server does: by name, with settings from the environment."""

from __future__ import annotations

import gc
import math
import os
from pathlib import Path

from fastapi import FastAPI

from app.main import create_app
from app.settings import AppSettings
from precompute.errors import UsageError, closest_names
from precompute.public_address import check_public_url
from precompute.write_token import read_token

VARIABLES = {
    "UNITSCOPE_ATLAS": "folder of the atlas",
    "UNITSCOPE_REQUESTS_PER_SECOND": "how many requests one client may send for as long as it likes; 0 or not set: any number",
    "UNITSCOPE_PUBLIC_URL": "scheme and host at which people reach the server; not set: no cards and no oEmbed for other sites",
    "UNITSCOPE_WRITE_TOKEN_FILE": "file with the token that allows writing circuits and short links; not set: nobody may",
}


def settings_from_environment() -> AppSettings:
    """Return what the environment says.

    Raises:
        UsageError: The atlas is not named, or a value is impossible.
    """
    atlas = os.environ.get("UNITSCOPE_ATLAS")
    if not atlas:
        raise UsageError("UNITSCOPE_ATLAS is not set. It names the folder of the atlas; `unitscope serve --atlas DIR` sets it.")
    token_file = os.environ.get("UNITSCOPE_WRITE_TOKEN_FILE")
    public_url = os.environ.get("UNITSCOPE_PUBLIC_URL")
    return AppSettings(
        atlas=Path(atlas),
        requests_per_second=_read_rate(os.environ.get("UNITSCOPE_REQUESTS_PER_SECOND", "")),
        public_url=check_public_url(public_url) if public_url else None,
        write_token=read_token(Path(token_file)) if token_file else None,
    )


def create_app_from_environment() -> FastAPI:
    """Return the app for the atlas that `UNITSCOPE_ATLAS` names.

    Raises:
        UsageError: The variable is not set, or another one that begins with `UNITSCOPE_` is none of ours.
    """
    for name in os.environ:
        if name.startswith("UNITSCOPE_") and name not in VARIABLES:
            close = closest_names(name, VARIABLES, count=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise UsageError(f"There is no setting {name!r}.{hint} The settings are: {', '.join(VARIABLES)}.")
    app = create_app(settings_from_environment())
    # What was made until here stays: looked through again and again, it would make one answer in fifty wait 20 ms.
    gc.collect()
    gc.freeze()
    return app


def _read_rate(text: str) -> float:
    """Return a number of requests a second.

    Raises:
        UsageError: It is none.
    """
    try:
        rate = float(text or 0)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise UsageError(f"UNITSCOPE_REQUESTS_PER_SECOND={text!r} is no number of requests. Give a number such as 100, or 0.")
    return rate
