"""A client of unitscope: `from unitscope import Client`. It needs Python alone; frames and pictures need their libraries."""

from app.client.client import Client
from app.client.errors import BuildGone, ClientError, MissingLibrary, NotFound, Refused, ServerNotReached
from app.client.rows import EdgeRow, ExampleRow, MetricRow, UnitRow

__all__ = [
    "BuildGone",
    "Client",
    "ClientError",
    "EdgeRow",
    "ExampleRow",
    "MetricRow",
    "MissingLibrary",
    "NotFound",
    "Refused",
    "ServerNotReached",
    "UnitRow",
]
