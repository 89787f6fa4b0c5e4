"""Questions about weights: paths, common partners, similar units, motifs; answered from the arrays, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from precompute.circuits import motifs
from precompute.circuits.expand import expand_inputs
from precompute.circuits.graph import MERGES, Link, squares_and_sums
from precompute.circuits.motifs import Kind, MotifCount
from precompute.circuits.paths import Path, StepWeights, UnitKey, shortest_paths, strongest_paths, weigh
from precompute.errors import TooManyWeights, UsageError
from precompute.store.arrays import Direction, links_of, weights_of
from precompute.store.expanded import weight_graph
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, LinkRecord

MAX_TABLE_NUMBERS = 60_000_000
NUM_OPPONENT_SHUFFLES = 20
_NEARER = "Choose a nearer source."
_T = TypeVar("_T")


@dataclass(frozen=True)
class CommonPartner:
    """A unit that all units of a set have as a partner.

    Attributes:
        layer: Its layer.
        unit: Its index.
        score: The smallest of its shares among the units of the set.
        norms: Of its weight to each unit of the set.
        sums: Signed sums of the same.
        shares: Of the squared norm of all weights between each unit of the set and the partner's layer.
    """

    layer: str
    unit: int
    score: float
    norms: tuple[float, ...]
    sums: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Likeness:
    """How much the weights of other units of a layer are like those of one.

    Attributes:
        units: The others, the most alike first.
        cosines: Of the weights, -1 to 1.
        highest_by_chance: The highest cosine with any other unit when the kernels of all others are dealt out anew to
            their partners: the mean over the shuffles.
        num_shuffles: How many.
        seed: Of the shuffles.
    """

    units: list[int]
    cosines: list[float]
    highest_by_chance: float
    num_shuffles: int
    seed: int


def _kept(catalog: Catalog, key: object, make: Callable[[], _T]) -> _T:
    if key not in catalog.held:
        catalog.held[key] = make()
    found: _T = catalog.held[key]
    return found


def _weigh(catalog: Catalog) -> Callable[[Link], StepWeights]:
    return lambda link: _kept(catalog, ("weigh", link.source, link.target), lambda: weigh(link))


def find_paths(
    reader: AtlasReader, catalog: Catalog, source: UnitKey, target: UnitKey, count: int, *, is_shortest: bool, is_shares: bool
) -> list[Path]:
    """Return the strongest paths of weights between two units, of all or of those over the fewest layers.

    Args:
        reader: The atlas.
        catalog: The model.
        source: The earlier unit.
        target: The later unit.
        count: How many.
        is_shortest: Whether only the paths over the fewest layers count.
        is_shares: Whether each step counts as a share of all that comes into its target, so that layers are comparable.
    """
    graph = weight_graph(reader, catalog)
    scale = None
    links = graph.links_between(source[0], target[0])
    if is_shares:
        scale = {name: _norms_into(reader, catalog, name) for name in {link.target for link in links}}
    if is_shortest:
        return shortest_paths(graph, source, target, count, weigh=_weigh(catalog), scale=scale)
    return strongest_paths(graph, source, target, count, weigh=_weigh(catalog), scale=scale, links=links)


def _norms_into(reader: AtlasReader, catalog: Catalog, layer: str) -> NDArray[np.float64]:
    """Return the norm of all weights into each unit of a layer, from the layers directly before it."""

    def make() -> NDArray[np.float64]:
        graph, kept = weight_graph(reader, catalog), _weigh(catalog)
        total = np.zeros(graph.nodes[layer].num_units)
        for link in graph.links_into(layer):
            squares = np.square(kept(link).norms, dtype=np.float64)
            total += squares if squares.ndim == 1 else squares.sum(axis=1)
        return np.sqrt(total)

    return _kept(catalog, ("norms into", layer), make)


def common_partners(reader: AtlasReader, catalog: Catalog, units: Sequence[UnitKey], direction: Direction) -> list[CommonPartner]:
    """Return the units that feed every unit of a set, or that each of them feeds, the strongest weakest tie first.

    Args:
        reader: The atlas.
        catalog: The model.
        units: The set.
        direction: `inputs` for what feeds them.
    """
    tables = [_tables(reader, catalog, unit, direction) for unit in units]
    shared = [name for name in tables[0] if all(name in found for found in tables)]
    found: list[CommonPartner] = []
    for name in shared:
        squares, sums = (np.array([table[name][place] for table in tables]) for place in (0, 1))
        shares = squares / np.maximum(squares.sum(axis=1, keepdims=True), 1e-300)
        weakest = shares.min(axis=0)
        for partner in np.argsort(-weakest, kind="stable"):
            if weakest[partner] > 0:
                columns = (np.sqrt(squares[:, partner]), sums[:, partner], shares[:, partner])
                values = [tuple(float(value) for value in column) for column in columns]
                found.append(CommonPartner(name, int(partner), float(weakest[partner]), *values))
    return sorted(found, key=lambda partner: (-partner.score, partner.layer, partner.unit))


def _tables(
    reader: AtlasReader, catalog: Catalog, unit: UnitKey, direction: Direction
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return squared norms and sums `[partner]` of a unit's weights, by the partners' layer."""
    found: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for link in links_of(catalog, catalog.layer(unit[0]), direction):
        other = link.source if direction == "inputs" else link.target
        array = weights_of(reader, link)
        if array is None or catalog.layers[other].spec.operation in MERGES:
            continue
        if link.layout == "diagonal":
            squares, sums = np.zeros((2, len(array)))
            squares[unit[1]], sums[unit[1]] = (value[0] for value in squares_and_sums(array[unit[1] : unit[1] + 1]))
        else:
            squares, sums = squares_and_sums(array[unit[1]] if direction == "inputs" else array[:, unit[1]])
        found[other] = (squares, sums)
    return found


def similar_units(
    reader: AtlasReader,
    catalog: Catalog,
    layer: LayerRecord,
    unit: int,
    direction: Direction,
    *,
    seed: int = 0,
    num_shuffles: int = 10,
) -> Likeness | None:
    """Return the other units of a layer by how much their weights are like those of one; None where there are no weights.

    Args:
        reader: The atlas.
        catalog: The model.
        layer: Of the unit.
        unit: The unit.
        direction: `inputs` to compare what builds them, `outputs` what they feed.
        seed: Of the shuffles.
        num_shuffles: How many.
    """
    arrays = [_of_units(array, direction) for _, array in _arrays(reader, catalog, layer, direction)]
    if not arrays or layer.spec.num_units < 2:
        return None
    numbers = np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1).astype(np.float64)
    lengths = np.linalg.norm(numbers, axis=1)
    lengths[lengths == 0] = np.inf
    own = numbers[unit] / lengths[unit]
    cosines = numbers @ own / lengths
    generator = np.random.default_rng(seed)
    highest = [_highest_shuffled(generator, arrays, own, lengths, unit) for _ in range(num_shuffles)]
    order = [int(other) for other in np.argsort(-cosines, kind="stable") if other != unit]
    return Likeness(order, [float(cosines[other]) for other in order], float(np.mean(highest)), num_shuffles, seed)


def _highest_shuffled(
    generator: np.random.Generator,
    arrays: Sequence[NDArray[Any]],
    own: NDArray[np.float64],
    lengths: NDArray[np.float64],
    unit: int,
) -> float:
    total, start = np.zeros(len(lengths)), 0
    for array in arrays:
        rows = array.reshape(*array.shape[:2], -1) if array.ndim == 4 else array.reshape(len(array), 1, -1)
        part = own[start : start + rows[0].size].reshape(rows.shape[1:])
        start += rows[0].size
        # Dealing one unit's kernels out anew against all others asks the same as dealing out each of theirs, and is cheap.
        dealt = part[generator.permutation(len(part))] if len(part) > 1 else generator.permuted(part, axis=1)
        total += rows.reshape(len(rows), -1) @ dealt.reshape(-1)
    cosines = total / lengths
    cosines[unit] = -1
    return float(cosines.max())


def _arrays(
    reader: AtlasReader, catalog: Catalog, layer: LayerRecord, direction: Direction
) -> list[tuple[LinkRecord, NDArray[Any]]]:
    found: list[tuple[LinkRecord, NDArray[Any]]] = []
    for link in links_of(catalog, layer, direction):
        other = link.source if direction == "inputs" else link.target
        array = weights_of(reader, link)
        if array is not None and catalog.layers[other].spec.operation not in MERGES:
            found.append((link, array))
    return found


def _of_units(array: NDArray[Any], direction: Direction) -> NDArray[Any]:
    return array if array.ndim == 3 or direction == "inputs" else np.swapaxes(array, 0, 1)


# -- motifs ----------------------------------------------------------------------------------------------------------


def motif_sources(reader: AtlasReader, catalog: Catalog, layer: LayerRecord) -> list[str]:
    """Return the layers from which motifs into a layer can be looked for: those before it, the nearest first."""
    graph = weight_graph(reader, catalog)
    names = [name for name in graph.layers_before(layer.name) if not graph.nodes[name].is_merge]
    return list(reversed(names))


def default_source(reader: AtlasReader, catalog: Catalog, layer: LayerRecord) -> str | None:
    """Return the nearest layer before a layer from which each unit reads more than one unit."""
    graph = weight_graph(reader, catalog)
    name = layer.name
    while True:
        links = graph.links_into(name)
        if not links:
            return None
        last = max(links, key=lambda link: graph.order[link.source])
        if last.load().ndim == 4:
            return last.source
        name = last.source


def find_motifs(
    reader: AtlasReader, catalog: Catalog, layer: LayerRecord, source: str, kind: Kind, *, seed: int = 0
) -> MotifCount | None:
    """Return how often a motif is in the weights from one layer to another, beside shuffled weights; None where it cannot be.

    Args:
        reader: The atlas.
        catalog: The model.
        layer: The later layer.
        source: The earlier one.
        kind: Of motif.
        seed: Of the shuffles.

    Raises:
        UsageError: The table of weights is too large to look through now.
    """

    def make() -> MotifCount | None:
        if kind == "feed_forward":
            return _feed_forward(reader, catalog, layer, source, seed)
        weights = _whole_table(reader, catalog, layer.name, source)
        if kind == "opponent":
            return motifs.find_opponents(weights, seed=seed, num_shuffles=NUM_OPPONENT_SHUFFLES)
        if kind == "equivariant":
            height, width = weights.shape[-2:]
            return motifs.find_equivariant_chains(weights, seed=seed) if height == width >= 3 else None
        before = default_source(reader, catalog, catalog.layers[source])
        if before is None:
            return None
        alike = motifs.cosines(_whole_table(reader, catalog, source, before))
        return motifs.find_unions(weights, alike, seed=seed)

    return _kept(catalog, ("motifs", layer.name, source, kind, seed), make)


def _whole_table(reader: AtlasReader, catalog: Catalog, target: str, source: str) -> NDArray[Any]:
    """Return all weights from one layer to another `[target, source, height, width]`, float32."""
    graph = weight_graph(reader, catalog)
    direct = next((link for link in graph.links_into(target) if link.source == source), None)
    if direct is not None and len(graph.links_between(source, target)) == 1 and direct.load().ndim == 4:
        return direct.load()
    sides = [link.load().shape[-1] for link in graph.links_between(source, target)]
    estimate = graph.nodes[target].num_units * graph.nodes[source].num_units * max([1, *sides]) ** 2
    if estimate > MAX_TABLE_NUMBERS:
        raise UsageError(
            f"The weights from {source} to {target} are {estimate / 1e6:.0f} million numbers, too many to look through while "
            f"you wait (at most {MAX_TABLE_NUMBERS / 1e6:.0f}). {_NEARER}"
        )
    try:
        return expand_inputs(graph, target, range(graph.nodes[target].num_units), source, dtype=np.float32).array
    except TooManyWeights as error:  # its advice is to ask for one unit, and motifs are of whole layers
        raise UsageError(
            f"The weights from {source} to {target} grow too large to look through while you wait. {_NEARER}"
        ) from error


def _feed_forward(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, source: str, seed: int) -> MotifCount | None:
    """Look for a, b, c with a in an earlier layer that the target reads directly as well as over `source`."""
    links = _loop_links(reader, catalog, layer, source)
    if links is None:
        return None
    across, over = links
    a_to_b = np.sqrt(squares_and_sums(_whole_table(reader, catalog, source, across.source))[0])
    copies = motifs.find_copies(over.load(), across.load())
    return motifs.find_feed_forward_loops(a_to_b, weigh(over).norms, weigh(across).norms, copies=copies, seed=seed)


def _loop_links(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, source: str) -> tuple[Link, Link] | None:
    """Return the links into a layer from the nearest layer of a in the feed-forward loops over a source, and from that source."""
    graph = weight_graph(reader, catalog)
    direct = {link.source: link for link in graph.links_into(layer.name)}
    firsts = [name for name in direct if graph.order[name] < graph.order[source] and graph.links_between(name, source)]
    if source not in direct or not firsts:
        return None
    found = direct[max(firsts, key=graph.order.__getitem__)], direct[source]
    return found if all(link.load().ndim == 4 for link in found) else None


def feed_forward_first(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, source: str) -> str | None:
    """Return the layer of a in the feed-forward loops over a source, or None where there are none."""
    links = _loop_links(reader, catalog, layer, source)
    return None if links is None else links[0].source
