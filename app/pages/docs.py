"""The page about the API, made from the declarations of the pages themselves."""

from __future__ import annotations

from collections.abc import Sequence

from app import urls
from app.contexts import Context, DocsPage, EndpointPart
from app.dependencies import Visit
from app.parts.summaries import page_links
from app.twins import Page


def docs_page(pages: Sequence[Page]) -> Page:
    """Return the page that tells about `pages` and itself."""

    def build(_: Visit) -> DocsPage:
        items = [_endpoint(page) for page in (*pages, own) if not page.is_fragment]
        return DocsPage(items=items, total=len(items), next=None, links=page_links(urls.docs(), openapi=urls.openapi()))

    own = Page(
        "/docs", "docs", "The addresses of the app, and the fields of their answers.", build, (DocsPage,), needs_atlas=False
    )
    return own


def _endpoint(page: Page) -> EndpointPart:
    parameters = [
        {
            "name": p.name + ("METRIC" if p.name.endswith(".") else ""),
            "summary": p.summary,
            "choices": list(p.choices),
            "default": p.default,
        }
        for p in page.parameters
    ]
    return EndpointPart(
        path=page.path,
        twin=urls.twin(page.path),
        summary=page.summary,
        parameters=parameters,
        fields=[field for context in page.contexts for field in _fields(context)],
    )


def _fields(context: type[Context]) -> list[dict[str, str]]:
    return [{"name": name, "summary": field.description or ""} for name, field in context.model_fields.items()]
