"""One function for each address of the app. Addresses are relative to the host: the Host header is trusted for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote, urlencode

from precompute.circuits.graph import ALL_WAYS, Way

API = "/api/v1"


def home() -> str:
    """Return the address of the start page."""
    return "/"


def docs() -> str:
    """Return the address of the page about the API."""
    return "/docs"


def words() -> str:
    """Return the address of the page that explains the words and numbers of all pages."""
    return "/docs/words"


def random_unit() -> str:
    """Return the address that leads to a unit with a good picture."""
    return "/random"


def openapi() -> str:
    """Return the address of the machine-readable description of the API."""
    return f"{API}/openapi.json"


def model(model_id: str, **query: object) -> str:
    """Return the address of a model."""
    return with_query(f"/models/{part(model_id)}", query)


def layer(model_id: str, layer_name: str, **query: object) -> str:
    """Return the address of a layer."""
    return with_query(f"{model(model_id)}/{part(layer_name)}", query)


def unit(model_id: str, layer_name: str, index: int) -> str:
    """Return the address of a unit."""
    return f"{layer(model_id, layer_name)}/{index}"


def weights(model_id: str, layer_name: str, index: int, **query: object) -> str:
    """Return the address of the weight explorer at a unit."""
    return with_query(f"{unit(model_id, layer_name, index)}/weights", query)


def paths(model_id: str, layer_name: str, index: int, **query: object) -> str:
    """Return the address of the paths from or to a unit."""
    return with_query(f"{unit(model_id, layer_name, index)}/paths", query)


def common(model_id: str, layer_name: str, index: int, **query: object) -> str:
    """Return the address of what a unit has in common with others."""
    return with_query(f"{unit(model_id, layer_name, index)}/common", query)


def similar(model_id: str, layer_name: str, index: int, **query: object) -> str:
    """Return the address of the units with similar weights."""
    return with_query(f"{unit(model_id, layer_name, index)}/similar", query)


def motifs(model_id: str, layer_name: str, **query: object) -> str:
    """Return the address of the motifs in the weights into a layer."""
    return with_query(f"{layer(model_id, layer_name)}/motifs", query)


def graph_file(model_id: str, layer_name: str, index: int, **query: object) -> str:
    """Return the address of what the weight explorer shows, as a GraphML file."""
    return with_query(f"/media/graphs/{part(model_id)}/{part(layer_name)}/{index}.graphml", query)


def circuit_of_graph(model_id: str, layer_name: str, index: int, **query: object) -> str:
    """Return the address of what the weight explorer shows, as the document of a circuit."""
    return with_query(f"/media/graphs/{part(model_id)}/{part(layer_name)}/{index}.circuit.json", query)


def factors(model_id: str, layer_name: str, index: int, **query: object) -> str:
    """Return the address of the patterns that the weights of a unit are made of."""
    return with_query(f"{unit(model_id, layer_name, index)}/factors", query)


def filter_picture(model_id: str, layer_name: str, index: int, maximum: float) -> str:
    """Return the address of the picture of a filter on the image, in which `maximum` has the full colour."""
    return f"/media/filters/{part(model_id)}/{part(layer_name)}/{index}.png?max={maximum:.6g}"


def stimulus(stimulus_id: int, **query: object) -> str:
    """Return the address of an image."""
    return with_query(f"/stimuli/{stimulus_id}", query)


def search(**query: object) -> str:
    """Return the address of a search."""
    return with_query("/search", query)


def circuits(**query: object) -> str:
    """Return the address of the list of circuits."""
    return with_query("/circuits", query)


def circuit(circuit_id: str, **query: object) -> str:
    """Return the address of a circuit."""
    return with_query(f"/circuits/{part(circuit_id)}", query)


def new_circuit(**query: object) -> str:
    """Return the address of the form that saves a circuit."""
    return with_query("/circuits/new", query)


def circuit_export(circuit_id: str, **query: object) -> str:
    """Return the address of a circuit as a document to import elsewhere."""
    return with_query(f"{API}/circuits/{part(circuit_id)}/export.json", query)


def circuit_schema() -> str:
    """Return the address of the JSON Schema of circuits."""
    return f"{API}/circuits/schema.json"


def view(view_id: str) -> str:
    """Return the short address of a view."""
    return f"/v/{part(view_id)}"


def views() -> str:
    """Return the address that gives a page a short one."""
    return f"{API}/views"


def progress(model_id: str) -> str:
    """Return the address of the part of a model's page that tells how far a build is."""
    return f"/fragments{model(model_id)}/progress"


def events(model_id: str) -> str:
    """Return the address where a running build tells what it does."""
    return f"{model(model_id)}/events"


def blob(name: str) -> str:
    """Return the address of a file of the store."""
    return f"/media/{name}"


def strip(model_id: str, layer_name: str, index: int, version: str) -> str:
    """Return the address of the strip of all examples of a unit."""
    return f"/media/strips/{part(model_id)}/{part(layer_name)}/{index}.webp?v={version}"


def heat(model_id: str, layer_name: str, index: int, version: str) -> str:
    """Return the address of the activation maps of a unit's examples, over the strip of its examples."""
    return f"/media/heat/{part(model_id)}/{part(layer_name)}/{index}.png?v={version}"


def compare_units(units: Iterable[tuple[str, str, int]]) -> str:
    """Return the address of some units, `(model, layer, unit)`, side by side."""
    return with_query("/compare", {"units": ",".join(f"{model_id}/{name}/{index}" for model_id, name, index in units) or None})


def compare_layers(left: tuple[str, str], right: tuple[str, str], **query: object) -> str:
    """Return the address of two layers, `(model, layer)`, with their units matched."""
    return with_query("/compare", {"left": "/".join(left), "right": "/".join(right)} | query)


def pictures(model_id: str, layer_name: str, index: int, version: str) -> str:
    """Return the address of one picture that holds all visualizations of a unit."""
    return f"/media/pictures/{part(model_id)}/{part(layer_name)}/{index}.webp?v={version}"


def thumb(model_id: str, layer_name: str, index: int, version: str) -> str:
    """Return the address of the small picture of a unit that has no visualization."""
    return f"/media/thumbs/{part(model_id)}/{part(layer_name)}/{index}.webp?v={version}"


def sheet(model_id: str, size_px: int, units: Iterable[tuple[str, int]], version: str) -> str:
    """Return the address of one picture that holds the small pictures of many units."""
    groups: dict[str, list[list[int]]] = {}
    for layer_name, index in units:
        runs = groups.setdefault(layer_name, [])
        if runs and index == runs[-1][-1] + 1:
            runs[-1][1:] = [index]
        else:
            runs.append([index])
    listed = ";".join(f"{name}:{'.'.join('-'.join(map(str, run)) for run in runs)}" for name, runs in groups.items())
    return with_query(f"/media/sheets/{part(model_id)}.webp", {"px": size_px, "units": listed, "v": version})


def unit_card(model_id: str, layer_name: str, index: int, version: str) -> str:
    """Return the address of the picture that tells other sites what a unit is."""
    return f"/media/cards/{part(model_id)}/{part(layer_name)}/{index}.png?v={version}"


def layer_card(model_id: str, layer_name: str, version: str) -> str:
    """Return the address of the picture that tells other sites what a layer is."""
    return f"/media/cards/{part(model_id)}/{part(layer_name)}.png?v={version}"


def oembed(address: str) -> str:
    """Return the address that tells programs how a page is shown in another one."""
    return with_query("/oembed", {"format": "json", "url": address})


def kernel(
    model_id: str,
    source: tuple[str, int],
    target: tuple[str, int],
    maximum: float,
    route: Way | None = None,
    over: Sequence[str] = (),
) -> str:
    """Return the address of the picture of a kernel, whose darkest colour stands for `maximum`.

    Args:
        model_id: The model.
        source: Layer and index of the earlier unit.
        target: Of the later unit.
        maximum: A weight.
        route: Only the paths over these layers.
        over: Only paths over no other layers than these, where there are any.
    """
    ends = f"{part(source[0])}/{source[1]}/{part(target[0])}/{target[1]}"
    # Put together by hand: it is asked for each row of a page, and the general way takes longer than all the rest of a row.
    size = f"{maximum:.6g}".replace("+", "%2B")
    ways = {"route": route_text(route), "over": ",".join(over) or None}
    given = {name: value for name, value in ways.items() if value is not None}
    more = f"&{urlencode(given, safe=':;,/', quote_via=quote)}" if given else ""
    return f"/media/kernels/{part(model_id)}/{ends}.png?max={size}{more}"


def route_text(route: Way | None) -> str | None:
    """Return the layers between two others as a query parameter says them."""
    if route == ALL_WAYS:
        return "all"
    return None if route is None else ",".join(route) or "direct"


def twin(page: str) -> str:
    """Return the address of the JSON twin of a page."""
    return f"{API}{page}"


def search_example(**query: object) -> str:
    """Return the address of the search for images and units that are like an image."""
    return with_query("/search/example", query)


def units(model_id: str, **query: object) -> str:
    """Return the address of the list of all units of a model."""
    return with_query(f"{model(model_id)}/units", query)


def lists(**query: object) -> str:
    """Return the address of the lists of units."""
    return with_query("/lists", query)


def unit_list(list_id: str, **query: object) -> str:
    """Return the address of a list of units."""
    return with_query(f"/lists/{part(list_id)}", query)


def new_list(**query: object) -> str:
    """Return the address of the form that saves a list."""
    return with_query("/lists/new", query)


def quick_list(**query: object) -> str:
    """Return the address of a list that is kept nowhere but in its address."""
    return with_query("/lists/quick", query)


def all_annotations(**query: object) -> str:
    """Return the address of what people said lately."""
    return with_query("/annotations", query)


def annotation(annotation_id: str, **query: object) -> str:
    """Return the address of one annotation with its states."""
    return with_query(f"/annotations/{part(annotation_id)}", query)


def new_annotation(**query: object) -> str:
    """Return the address of the form that saves an annotation."""
    return with_query("/annotations/new", query)


def annotation_schema() -> str:
    """Return the address of the JSON Schema of annotations."""
    return f"{API}/annotations/schema.json"


def annotations_export() -> str:
    """Return the address of all annotations as JSON Lines."""
    return f"{API}/annotations/export.jsonl"


def methods(path: str) -> str:
    """Return the methods that an address answers, as the `Allow` header says them."""
    if path == views():
        return "POST"
    if path in {f"{API}/circuits", f"{API}/annotations", new_circuit(), new_annotation(), new_list()}:
        return "GET, HEAD, POST"
    if path in {search_example(), twin(search_example())}:
        return "GET, HEAD, POST"
    if path in {circuit_schema(), annotation_schema(), annotations_export(), twin(new_circuit()), twin(new_annotation())}:
        return "GET, HEAD"
    if re.fullmatch(f"{API}/(circuits|annotations)/[^/]+", path):
        return "GET, HEAD, PUT, DELETE"
    if re.fullmatch("/(annotations|lists)/[^/]+", path) and path != quick_list():
        return "GET, HEAD, POST"
    return "GET, HEAD"


def with_query(path: str, query: Mapping[str, object]) -> str:
    """Return an address with the query parameters that are not None."""
    if not query:
        return path
    given = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(given, safe=':;,/', quote_via=quote)}" if given else path


def with_more(address: str, **query: object) -> str:
    """Return an address with further query parameters behind those that it has."""
    more = with_query("", query)
    return f"{address}&{more[1:]}" if more and "?" in address else address + more


@lru_cache(maxsize=4096)
def part(text: str) -> str:
    """Return a name as one part of an address."""
    return quote(text, safe="")
