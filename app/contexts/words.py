"""The page of words."""

from __future__ import annotations

from pydantic import Field

from app.contexts.base import Context, Links, Part


class WordEntry(Part):
    """A word or number, and what it means."""

    term: str = Field(description="As the app and its twins name it")
    name: str
    text: str


class WordsPage(Context):
    """Every word and number of the pages."""

    template = "pages/words.html"
    items: list[WordEntry]
    total: int
    next: str | None
    links: Links
