"""What the share panel of a page offers: links, a citation, a picture, code to embed; and what tells other sites about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from app import urls
from app.contexts import Context, UnitPage
from app.dependencies import Visit
from app.pictures.cards import layer_card_version, unit_card_version
from app.words.formats import number, one_way
from precompute.store.builds import build_of

SERVER = "http://SERVER"
"""Stands for the address of the server where its owner has not said it; a script on the page puts the real one in."""
SHARED = ("unit", "layer", "weights", "stimulus")
EMBED_SIZES = {"unit": (640, 420), "layer": (760, 420), "weights": (900, 520)}
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True)
class Share:
    """A page as it is shared; addresses are whole.

    Attributes:
        title: What the page is about.
        description: One line about what is on it, the alt text of its picture.
        link: Its address.
        pinned: The same with the build, or None where it belongs to no model.
        twin: Of its JSON twin.
        card: Of a picture of it, or None.
        embed: HTML that shows it in another page, or None.
        oembed: Address that tells this to programs, or None where the public address is not known.
        citation: Plain text.
        bibtex: The same for BibTeX.
        markdown: The picture and one line.
        curl: A command that fetches the twin.
        is_public: Whether the addresses are known to be right.
    """

    title: str
    description: str
    link: str
    pinned: str | None
    twin: str
    card: str | None
    embed: str | None
    oembed: str | None
    citation: str
    bibtex: str
    markdown: str
    curl: str
    is_public: bool


def share_of(name: str, visit: Visit, context: Context) -> Share | None:
    """Return how a page is shared, or None where it is not.

    Args:
        name: Of the page.
        visit: The request for it.
        context: What it shows.
    """
    if name not in SHARED or visit.query.text("direction"):
        return None
    base = visit.door.settings.public_url or SERVER
    values = {key: value for key, value in visit.query.values.items() if key not in ("build", "embed", "after")}
    address = urls.with_query(visit.address, values)
    title, description = _words(name, visit, context)
    pinned, whence, year = None, "an image that the models of this atlas were shown", ""
    if name != "stimulus":
        model = visit.catalog.model
        build = str(build_of(visit.reader, visit.catalog))
        pinned = base + urls.with_query(visit.address, values | {"build": build})
        whence = f"unitscope atlas of {model.spec}, build {build}, weights sha256 {model.weights_sha256[:16]}"
        year = model.built_at[:4]
    link = base + address
    card_path = _card(name, visit)
    card = None if card_path is None else base + card_path
    cited = pinned or link
    picture = f"[![{_markdown(description)}]({card})]({cited})\n\n" if card else ""
    return Share(
        title=title,
        description=description,
        link=link,
        pinned=pinned,
        twin=base + urls.twin(address),
        card=card,
        embed=embed_code(name, base + urls.with_query(visit.address, values | {"embed": "1"}), title),
        oembed=None if name == "stimulus" or base == SERVER else base + urls.oembed(link),
        citation=f"{title}. In: {whence}{f', {year}' if year else ''}. {cited}",
        bibtex=_bibtex(title, whence, year, cited),
        markdown=f"{picture}[{_markdown(title)}]({cited}): {_markdown(description)}",
        curl=f"curl '{base + urls.twin(address)}'",
        is_public=base != SERVER,
    )


def embed_code(name: str, address: str, title: str, width: int = 0, height: int = 0) -> str | None:
    """Return HTML that shows a page in another one, or None where it cannot be shown so."""
    if name not in EMBED_SIZES:
        return None
    usual = EMBED_SIZES[name]
    return (
        f'<iframe src="{escape(address)}" width="{width or usual[0]}" height="{height or usual[1]}" '
        f'title="{escape(title)}" loading="lazy"></iframe>'
    )


def title_of(name: str, model_title: str, layer: str, unit: int | None, label: str | None = None) -> str:
    """Return what a page of a model is about."""
    if name == "layer" or unit is None:
        return one_way(f"Layer {layer}, {model_title}")
    text = f"nit {unit} of {layer}{f' ({label})' if label else ''}, {model_title}"
    return one_way(f"Weights of u{text}" if name == "weights" else f"U{text}")


def _words(name: str, visit: Visit, context: Context) -> tuple[str, str]:
    label = getattr(context, "label", None)
    if name == "stimulus":
        title = one_way(f"Image {visit.path['id']}{f' ({label})' if label else ''}")
        return title, "An image as the model saw it, and the units that it is a top example of"
    layer = visit.layer
    unit = None if name == "layer" else visit.unit
    title = title_of(name, visit.catalog.model.title, layer.name, unit, label)
    if isinstance(context, UnitPage):
        ratio = next((found.reached_ratio for found in context.visualizations if found.reached_ratio is not None), None)
        told = "" if ratio is None else f"; the synthetic image reaches {number(ratio, 2)} times the strongest image"
        return title, f"What {layer.name} unit {unit} looks for, and the images that excite it most{told}"
    if name == "layer":
        return title, f"The {layer.spec.num_units} units of layer {layer.name}, each with a picture"
    return title, f"The units that feed {layer.name} unit {unit}, those that it feeds, and the weights between them"


def _card(name: str, visit: Visit) -> str | None:
    if name == "stimulus":
        return None
    if name == "layer":
        return urls.layer_card(visit.layer.model_id, visit.layer.name, layer_card_version(visit.catalog, visit.layer))
    version = unit_card_version(visit.reader, visit.catalog, visit.layer, visit.unit)
    return urls.unit_card(visit.layer.model_id, visit.layer.name, visit.unit, version)


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>!|])", r"\\\1", text)


def _bibtex(title: str, whence: str, year: str, address: str) -> str:
    key = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-").lower()[:60]
    lines = [f"  title = {{{_latex(title)}}}", f"  howpublished = {{{_latex(whence)}}}"]
    lines += [f"  year = {{{year}}}"] if year else []
    lines.append(f"  url = {{{address}}}")
    return f"@misc{{unitscope-{key},\n" + ",\n".join(lines) + "\n}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, f"\\{letter}" if letter in "{}$&#%_" else letter) for letter in text)
