"""The page about the API, made from the declarations of the pages themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app import urls
from app.contexts import Context, DocsPage, EndpointPart, OperationPart
from app.dependencies import Visit
from app.parts.summaries import page_links
from app.twins import Page


def docs_page(pages: Sequence[Page], describe: Callable[[], dict[str, Any]]) -> Page:
    """Return the page that tells about `pages`, itself, and what else there is.

    Args:
        pages: All others.
        describe: Returns the description of the whole API (OpenAPI).
    """

    def build(_: Visit) -> DocsPage:
        items = [_endpoint(page) for page in (*pages, own) if not page.is_fragment]
        told = {("get", item.twin) for item in items}
        return DocsPage(
            items=items,
            total=len(items),
            next=None,
            operations=_operations(describe(), told),
            links=page_links(urls.docs(), openapi=urls.openapi()),
        )

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


def _operations(described: dict[str, Any], told: set[tuple[str, str]]) -> list[OperationPart]:
    """Return what the description of the API has beside the twins of pages."""
    return [
        OperationPart(
            method=method.upper(),
            path=path,
            summary=operation["summary"],
            parameters=[
                {"name": one["name"], "summary": one.get("description", "")}
                for one in operation.get("parameters", [])
                if one["in"] == "query"
            ],
        )
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if (method, path) not in told
    ]


def _fields(context: type[Context]) -> list[dict[str, str]]:
    return [{"name": name, "summary": field.description or ""} for name, field in context.model_fields.items()]
