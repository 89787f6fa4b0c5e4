"""Answers as data frames and pictures; the libraries for these are loaded when one is wanted."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any, Literal

from app.client.errors import ClientError, MissingLibrary

if TYPE_CHECKING:
    from PIL import Image

Library = Literal["pandas", "polars"]


def frame_of_parquet(data: bytes, library: Library) -> Any:
    """Return a Parquet file as a data frame.

    Raises:
        MissingLibrary: The library is not installed.
    """
    if library == "polars":
        return _load("polars").read_parquet(io.BytesIO(data))
    if library == "pandas":
        _load("pyarrow")
        return _load("pandas").read_parquet(io.BytesIO(data))
    raise ClientError(f"There is no library {library!r} here: choose 'pandas' or 'polars'.")


def picture_of(data: bytes) -> Image.Image:
    """Return a picture.

    Raises:
        MissingLibrary: Pillow is not installed.
    """
    found: Any = _load("PIL.Image").open(io.BytesIO(data))
    found.load()
    return found


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0].replace("PIL", "pillow")
        raise MissingLibrary(f"{package} is not installed: `pip install 'unitscope[frames]'`.") from error
