"""How strongly, how often and how selectively does a unit answer?

Read the histogram from left to right: everything up to zero is silenced by a rectifier, the right tail is what the unit is
about. A unit that is active at few positions and strongly there (high sparsity) usually has a narrower meaning.

Failure modes: numbers depend on the images; a unit that never fires on these may fire on others. Sparsity is the excess
kurtosis of the activation over all images and positions (0 for a normal distribution): one outlier can raise it, so read it
beside `fraction_active`.

Paper: Willmore and Tolhurst, "Characterizing the sparseness of neural codes", Network 12, 2001,
https://doi.org/10.1080/net.12.3.255.270 (their lifetime kurtosis is our sparsity). The histogram is that of Cammarata et al.,
"Curve Detectors", Distill, 2020, https://distill.pub/2020/circuits/curve-detectors/.
"""

from __future__ import annotations

from collections.abc import Iterator

from precompute.activations.observation import LayerObservation
from precompute.domain import Artifact, Result, UnitMetric
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem


@TECHNIQUES.register("statistics")
class Statistics(Technique):
    """Numbers of a unit over all images and positions."""

    name = "statistics"
    title = "Activation statistics"
    position = 30
    summary = "How strongly and how often the unit answers, over all images and all positions."
    needs_pass = True

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer."""
        return [WorkItem(layer.name, range(layer.num_units), num_bytes=900 * layer.num_units) for layer in context.layers]

    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Yield the metrics and the histogram of every unit."""
        observation = context.observations[item.layer]
        if not isinstance(observation, LayerObservation):
            raise TypeError(f"the pass saw nothing of {item.layer}")
        metrics = observation.metrics()
        for unit in item.units:
            for name, values in metrics.items():
                value = float(values[unit])
                yield UnitMetric(item.layer, unit, name, value if value == value and abs(value) != float("inf") else None)
            edges, counts = observation.histogram.edges_and_counts(unit)
            payload = {"edges": edges, "counts": counts, "n": observation.moments.count}
            yield Artifact(item.layer, unit, self.name, "histogram", 0, payload)
