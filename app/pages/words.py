"""The page that explains every word and number of the other pages."""

from __future__ import annotations

from app import urls
from app.contexts import WordEntry, WordsPage
from app.dependencies import Visit
from app.parts.summaries import page_links
from app.twins import Page
from app.words import glossary
from app.words.formats import words


def build_words(_: Visit) -> WordsPage:
    """Return the glossary, by name."""
    items = [
        WordEntry(term=term, name=words(glossary.name(term, words(term))), text=text) for term, text in glossary.TERMS.items()
    ]
    items.sort(key=lambda entry: entry.name.casefold())
    return WordsPage(items=items, total=len(items), next=None, links=page_links(urls.words(), docs=urls.docs()))


PAGES = (
    Page(
        "/docs/words",
        "words",
        "Every word and number of the pages, in plain words.",
        build_words,
        (WordsPage,),
        needs_atlas=False,
    ),
)
