"""The metrics that a list of units is sorted and filtered by, with their histograms."""

from __future__ import annotations

from app.contexts import MetricRange
from precompute.store.columns import metric_bins
from precompute.store.listing import list_metrics
from precompute.store.reader import AtlasReader
from precompute.store.records import LayerRecord


def metric_ranges(reader: AtlasReader, model_id: str, layer: LayerRecord | None) -> list[MetricRange]:
    """Return the metrics of a layer, or of a whole model, as a build counted them.

    Where no build has, those of a layer are asked for one by one, without histograms.
    """
    found = [
        MetricRange(
            name=metric.metric,
            low=metric.bins.edges[0],
            high=metric.bins.edges[-1],
            scale=metric.bins.scale,
            edges=list(metric.bins.edges),
            counts=metric.bins.counts,
        )
        for metric in metric_bins(reader, model_id, layer)
    ]
    if found or layer is None:
        return found
    return [MetricRange(name=name, low=low, high=high) for name, (low, high) in sorted(list_metrics(reader, layer).items())]
