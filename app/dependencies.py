"""What one request works with: the atlas as it is now, and what was asked."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app import urls
from app.query import Query, decode_cursor, encode_cursor
from app.settings import AppSettings
from precompute.errors import AtlasError, UnknownName
from precompute.store.annotations import Annotations
from precompute.store.arrays import Direction, Side
from precompute.store.engine import database_path
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord
from precompute.store.user_db import UserDb

_NUMBER = re.compile(r"^(0|[1-9][0-9]{0,8})$")


class AtlasDoor:
    """Opens the atlas when it is there, and again when it was replaced; the web process may start before the build.

    Args:
        settings: Where the atlas is.

    Attributes:
        users: Circuits and short links that people wrote.
        annotations: What people said: labels, notes, stars and lists.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings = settings
        self.users = UserDb(settings.atlas)
        self._database = str(database_path(settings.atlas))
        self.annotations = Annotations(settings.atlas)
        self._reader: AtlasReader | None = None
        self._lock = threading.Lock()

    def reader(self) -> AtlasReader:
        """Return the reader of the atlas.

        Raises:
            AtlasError: There is no atlas yet, or it cannot be read.
        """
        file_id = self._file_id()
        found = self._reader
        if found is not None and found.file_id == file_id:
            return found
        with self._lock:
            if self._reader is None or self._reader.file_id != file_id:
                if self._reader is not None:
                    self._reader.close()
                    self._reader = None
                self._reader = AtlasReader(self.settings.atlas)
            return self._reader

    def current_reader(self) -> AtlasReader | None:
        """Return the reader of the atlas where it is open already, else None; this never waits."""
        found = self._reader
        return found if found is not None and found.file_id == self._file_id() else None

    def _file_id(self) -> int | None:
        try:
            return os.stat(self._database).st_ino
        except OSError:
            return None


@dataclass
class Visit:
    """One request for one page.

    Attributes:
        door: The way to the atlas.
        path: The parts of the address that vary, by name.
        query: The query parameters, checked.
        address: The address of the HTML page without its query.
        full_address: The address of the HTML page with its query.
        is_api: Whether the JSON twin was asked for.
    """

    door: AtlasDoor
    path: Mapping[str, str]
    query: Query
    address: str
    full_address: str
    is_api: bool

    @cached_property
    def reader(self) -> AtlasReader:
        """Return the reader of the atlas."""
        return self.door.reader()

    @cached_property
    def revision(self) -> str:
        """Return the revision of the atlas when the request began."""
        return self.reader.revision()

    @cached_property
    def catalog(self) -> Catalog:
        """Return the model that the address names.

        Raises:
            UnknownName: The atlas has no such model.
        """
        return self.reader.catalog(self.path["model"], self.revision)

    @cached_property
    def layer(self) -> LayerRecord:
        """Return the layer that the address names.

        Raises:
            UnknownName: The model has no such layer.
        """
        return self.catalog.layer(self.path["layer"])

    @cached_property
    def unit(self) -> int:
        """Return the index of the unit that the address names.

        Raises:
            UnknownName: The layer has no such unit.
        """
        return check_unit(self.layer, self.path["unit"])

    @property
    def is_writable(self) -> bool:
        """Return whether this server takes what people write."""
        return self.door.settings.write_token is not None

    def side(self, direction: Direction, unit: int | None = None) -> Side:
        """Return what feeds the unit that the address names, or another of its layer, or what it feeds."""
        return Side(self.reader, self.catalog, self.layer, self.unit if unit is None else unit, direction)

    def prefer(self, page: str) -> str:
        """Return the address of a page, or of its twin where the twin was asked for."""
        return f"/api/v1{page}" if self.is_api else page

    def first_place(self, scope: Mapping[str, object]) -> int:
        """Return the place in a list, from 0, at which the cursor that was given begins.

        Args:
            scope: What tells this list from others, so that a cursor of one is refused by another.

        Raises:
            UsageError: It is no cursor of this list.
        """
        place = decode_cursor(scope, self.query.text("after"), (int,))
        return 0 if place is None else max(0, int(place[0]))

    def following(self, scope: Mapping[str, object], stop: int, total: int) -> str | None:
        """Return the address of what comes after place `stop` of a list with so many places, or None where nothing does."""
        if stop >= total:
            return None
        values = self.query.values | {"after": encode_cursor(scope, [stop])}
        return self.prefer(urls.with_query(self.address, values))


def check_unit(layer: LayerRecord, text: str) -> int:
    """Return the index of a unit.

    Raises:
        UnknownName: The layer has no such unit.
    """
    last = layer.spec.num_units - 1
    if not _NUMBER.match(text) or int(text) > last:
        hint = f"Its units are numbered 0 to {last}."
        raise UnknownName("unit", text[:80], (), where=f"{layer.model_id} {layer.name}", hint=hint)
    return int(text)


def read_number(kind: str, text: str) -> int:
    """Return a number that names something.

    Raises:
        UnknownName: The text is no such number.
    """
    if not _NUMBER.match(text):
        raise UnknownName(kind, text[:80], ())
    return int(text)


def open_or_none(door: AtlasDoor) -> tuple[AtlasReader | None, str | None]:
    """Return the reader, or else why there is none."""
    try:
        return door.reader(), None
    except AtlasError as error:
        return None, error.detail
