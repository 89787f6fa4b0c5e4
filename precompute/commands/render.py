"""`unitscope render`: one picture of one unit, the very file that a build stores."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from precompute.commands.build import need_precompute
from precompute.errors import PublicError, UnknownName, UsageError

if TYPE_CHECKING:
    from precompute.domain import LayerSpec
    from precompute.optvis.variants import Variant

EXAMPLE = """\
example:
  unitscope render timm:tf_efficientnet_lite0@pip blocks.3.1.conv_pwl 7 --out unit-7.webp
"""


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    text = "make one picture of one unit: the same bytes, and so the same sha256, as in an atlas built on this machine"
    parser = commands.add_parser(
        "render", help=text, description=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spec", metavar="SPEC", help="the model, SOURCE:NAME[@WEIGHTS]")
    parser.add_argument("layer", metavar="LAYER", help="name of the layer")
    parser.add_argument("unit", metavar="UNIT", type=int, help="index of the unit")
    objectives = ("channel", "neuron", "diversity")
    text = "mean over positions, the centre alone, or several facets of the layer's leading one"
    parser.add_argument("--objective", choices=objectives, help=text)
    parser.add_argument("--facet", type=int, default=0, metavar="N", help="which of the facets, from 0")
    parser.add_argument("--sign", choices=("positive", "negative"), default="positive", help="what drives it up, or down")
    parser.add_argument(
        "--quality", choices=("draft", "final"), default="draft", help="few steps, or many, and from middle layers on under noise"
    )
    text = "who makes it: this program, from a free spectrum or (maco) from that of the images, or Lucent"
    parser.add_argument("--renderer", choices=("unitscope", "maco", "lucent"), default="unitscope", help=text)
    parser.add_argument("--images", metavar="DIR", help="for maco: the images of the build, a folder or 'embedded'")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the start and the transforms (default 0)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the picture there")
    parser.add_argument("--json", action="store_true", help="print the numbers beside the picture as one JSON object")
    parser.add_argument("--partial", action="store_true", help="allow a weight file that lacks parameters")
    parser.set_defaults(run=run_render)


def run_render(arguments: argparse.Namespace) -> int:
    """Render, write the file, and print its sha256."""
    need_precompute()
    from precompute.domain import Artifact
    from precompute.executors.process import tune_process
    from precompute.models.base import load_model
    from precompute.optvis.references import photographs_in
    from precompute.planning import check_seed
    from precompute.techniques.base import Context, WorkItem
    from precompute.techniques.feature_visualization import FeatureVisualization

    if arguments.images is not None and arguments.renderer != "maco":
        raise UsageError("--images only matters with --renderer maco. Leave it out, or add that.")
    seed = check_seed(arguments.seed)
    tune_process(num_threads=1)
    adapter = load_model(arguments.spec, is_partial=arguments.partial)
    layer = adapter.layer(arguments.layer)
    photographs = None if arguments.images is None else photographs_in(adapter, arguments.images)
    context = Context(adapter, [layer], seed, arguments.quality, photographs=photographs)
    variant = _variant(arguments, layer)
    item = WorkItem(layer.name, [arguments.unit], str(variant), is_per_unit=True)
    found = [result for result in FeatureVisualization().compute(context, item) if isinstance(result, Artifact)]
    if not 0 <= arguments.facet < len(found):
        raise UsageError(f"There is no facet {arguments.facet}: {variant.objective!r} makes {len(found)}, numbered from 0.")
    artifact = found[arguments.facet]
    if artifact.blob is None:
        raise RuntimeError("a visualization without a file")
    digest = hashlib.sha256(artifact.blob.data).hexdigest()
    if arguments.out is not None:
        try:
            arguments.out.write_bytes(artifact.blob.data)
        except OSError as error:
            raise PublicError(f"{arguments.out} cannot be written: {error.strerror}. Give another place with --out.") from error
    if arguments.json:
        print(json.dumps({"sha256": digest, "extension": artifact.blob.extension, **artifact.payload}))
    else:
        print(digest)
    return 0


def _variant(arguments: argparse.Namespace, layer: LayerSpec) -> Variant:
    """Return which picture is asked for.

    Raises:
        UnknownName: The layer has no such picture.
    """
    from precompute.optvis.variants import Variant, reductions_of

    names = [*reductions_of(layer), *(["diversity"] if layer.map_size else [])]
    objective = arguments.objective or names[0]
    if objective not in names:
        raise UnknownName("picture", objective, names, where=layer.name)
    by = "" if arguments.renderer == "unitscope" else f" by {arguments.renderer}"
    return Variant.parse(f"{objective} {arguments.sign} {arguments.quality}{by}")
