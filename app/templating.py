"""The Jinja environment: strict about names, escaping everything, with the few helpers that templates share."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app import urls
from app.contexts import Context
from app.drawing import bins, marks, shapes
from app.drawing import circuits as drawn_circuits
from app.drawing import models as drawn_models
from app.drawing.subjects import subject_cuts
from app.escaping import PieceEscaping, escape_piece
from app.explorer import links as explorer_links
from app.parts import visualizations
from app.parts.share import Share
from app.settings import AppSettings
from app.words import alt_texts, formats, glossary
from app.words.markdown import markdown

# What pages are made by: pages that another code made are not shown again.
_APP = Path(__file__).resolve().parent
_CODE = (_APP, *(_APP.parent / "precompute" / name for name in ("store", "circuits", "annotations")))


def app_version() -> str:
    """Return the version of unitscope that runs."""
    try:
        return version("unitscope")
    except PackageNotFoundError:
        return "0"


class Templates:
    """Renders pages.

    Args:
        settings: Where templates and static files are.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.static_version = _hash_of(settings.static)
        code = "-".join(_hash_of(folder, "*.py") for folder in _CODE)
        self.version = f"{app_version()}-{code}-{_hash_of(settings.templates)}-{self.static_version}-{settings.public_url or ''}"
        # Jinja does not say what its globals, filters and tests are.
        self._environment: Any = Environment(
            loader=FileSystemLoader(settings.templates),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.code_generator_class = PieceEscaping
        self._environment.escape_piece = escape_piece
        self._environment.globals.update(
            urls=urls,
            draw=shapes,
            marks=marks,
            bins=bins,
            diagrams=drawn_models,
            draw_circuit=drawn_circuits.draw_circuit,
            subject_cuts=subject_cuts,
            explorer=explorer_links,
            pictures=visualizations,
            glossary=glossary,
            alt=alt_texts,
            static=self.static,
            without=formats.without,
            similar_keys=formats.similar_keys,
            has_htmx=all((settings.static / "vendor" / name).is_file() for name in ("htmx.min.js", "htmx-sse.min.js")),
            version=app_version(),
        )
        self._environment.filters.update(formats.FILTERS)
        self._environment.filters["markdown"] = markdown
        self._environment.tests["metric_range"] = formats.is_metric_range
        self._environment.tests["of_picture"] = formats.is_of_picture

    def draw_with(self, shapes_of_site: Any) -> None:
        """Draw small pictures in another way than from sheets."""
        self._environment.globals["draw"] = shapes_of_site

    def static(self, path: str) -> str:
        """Return the address of a static file; it changes with the content of the static files."""
        return f"/static/{self.static_version}/{path}"

    def render(
        self, context: Context, path: str, *, share: Share | None = None, latest: str | None = None, template: str | None = None
    ) -> str:
        """Return the HTML of a page.

        Args:
            context: What the page shows.
            path: Address of the page, without its query.
            share: How the page is shared, or None where it is not.
            latest: Address of the page as it is now, where a link named a build with other results.
            template: Another template than the usual one.
        """
        names: dict[str, Any] = {"page": context, "path": path, "share": share, "latest": latest}
        return self._environment.get_template(template or context.template).render(names)


def _hash_of(folder: Path, pattern: str = "*") -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob(pattern)):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
