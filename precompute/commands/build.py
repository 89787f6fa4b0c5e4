"""`unitscope build` and `unitscope plan`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from precompute.errors import PublicError

if TYPE_CHECKING:
    from precompute.planning import BuildOptions, Plan

BUILD_EXAMPLE = """\
example:
  unitscope build timm:mobilenetv2_100@weights.pth --images ~/photos --atlas atlas --layers 'blocks.6.*' --techniques \\
      statistics,dataset_examples
"""


def add_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    for name, run, text in (
        ("build", run_build, "look at a model and write what is seen into an atlas; goes on where it was stopped"),
        ("plan", run_plan, "say what a build would do: tasks, units, estimated time and bytes"),
    ):
        parser = commands.add_parser(
            name, help=text, description=text, epilog=BUILD_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add_build_arguments(parser)
        parser.add_argument("--end-with", type=int, help=argparse.SUPPRESS)  # the process that started this one
        parser.set_defaults(run=run)
        if name == "plan":
            parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    parser.add_argument("spec", metavar="SPEC", help="the model, SOURCE:NAME[@WEIGHTS]")
    parser.add_argument("--images", required=True, metavar="DIR", help="a folder of images, or 'embedded'")
    parser.add_argument("--atlas", required=True, metavar="DIR", type=Path, help="the folder to write to")
    parser.add_argument("--name", metavar="ID", help="name of the model in URLs; default: the architecture's name")
    parser.add_argument("--layers", action="append", default=[], metavar="GLOB", help="layers, '*' and '?' allowed; repeatable")
    text = "make pictures of these units of each layer only, both ends included; several with commas: 3,7,10-12"
    parser.add_argument("--units", metavar="A-B", help=text)
    parser.add_argument("--techniques", metavar="a,b", help="default: all that are registered")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of every random draw; default 0")
    parser.add_argument("--quality", choices=("draft", "final"), default="draft", help="of feature visualizations")
    text = (
        "who makes feature visualizations: this program, from a free spectrum or (maco) from that of the images; or, for "
        "comparison, Lucent (about a hundred times slower)"
    )
    parser.add_argument("--renderer", choices=("unitscope", "maco", "lucent"), default="unitscope", help=text)
    parser.add_argument("--partial", action="store_true", help="allow a weight file that lacks parameters")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes; default: one a core")
    parser.add_argument("--quiet", action="store_true", help="plain lines now and then in place of bars, for logs")


def options_from(arguments: argparse.Namespace) -> BuildOptions:
    """Return the build that the arguments ask for."""
    from precompute.planning import BuildOptions, check_seed, parse_units

    return BuildOptions(
        spec=arguments.spec,
        images=arguments.images,
        atlas=arguments.atlas,
        name=arguments.name,
        layers=tuple(arguments.layers),
        units=parse_units(arguments.units),
        techniques=tuple(name for name in (arguments.techniques or "").split(",") if name),
        seed=check_seed(arguments.seed),
        quality=arguments.quality,
        renderer=arguments.renderer,
        is_partial=arguments.partial,
        num_workers=max(1, arguments.workers),
        is_quiet=arguments.quiet,
    )


def need_precompute() -> None:
    """Refuse to build where only the web parts are installed.

    Raises:
        PublicError: torch or timm is missing.
    """
    from importlib.util import find_spec

    missing = [name for name in ("torch", "timm") if find_spec(name) is None]
    if missing:
        raise PublicError(f"{' and '.join(missing)} must be installed to look at models: pip install 'unitscope[precompute]'.")


def run_build(arguments: argparse.Namespace) -> int:
    """Build, and report."""
    need_precompute()
    from precompute.executors.process import end_with_parent
    from precompute.pipeline import build

    if arguments.end_with is not None:
        end_with_parent(arguments.end_with)
        # A shell lets what it starts in the background ignore this signal, and the server says stop with it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    report = build(options_from(arguments))
    _name_left_out(report.left_out)
    print(
        f"{report.num_done} tasks done, {len(report.failed)} failed; "
        f"{report.num_images} images, {report.num_skipped} files skipped."
    )
    for line in report.failed[:20]:
        print(f"failed: {line}", file=sys.stderr)
    if len(report.failed) > 20:
        print(f"… and {len(report.failed) - 20} more: unitscope status --atlas {arguments.atlas}", file=sys.stderr)
    return 1 if report.failed else 0


def _name_left_out(layers: Sequence[str]) -> None:
    if layers:
        print(f"left out, since they depend on parameters that the file lacks: {', '.join(layers)}", file=sys.stderr)


def run_plan(arguments: argparse.Namespace) -> int:
    """Say what a build would do."""
    need_precompute()
    from precompute.ledger import refuse_other
    from precompute.planning import make_plan
    from precompute.store.status import done_tasks, read_model

    plan = make_plan(options_from(arguments))
    refuse_other(plan, *read_model(plan.options.atlas, plan.model_id))
    summary = summarise_plan(plan, done_tasks(plan.options.atlas, plan.model_id))
    _name_left_out(plan.adapter.left_out)
    if arguments.json:
        print(json.dumps(summary, indent=2))
        return 0
    print(f"{summary['model']}: {summary['num_layers']} layers, {summary['num_units']} units, {summary['num_images']} images")
    print(f"({summary['num_skipped']} files skipped)" if summary["num_skipped"] else "")
    for name, row in summary["techniques"].items():
        print(
            f"  {name:24} {row['tasks']:>8} tasks ({row['done']} done)   "
            f"about {row['seconds'] / 60:8.1f} core-minutes   {row['num_bytes'] / 1e6:10.1f} MB"
        )
    print(f"with {summary['workers']} workers about {summary['seconds'] / 60:.0f} minutes, {summary['num_bytes'] / 1e6:.0f} MB")
    return 0


# Measured on EfficientNet-Lite0, 224 pixels: core-seconds of the pass for each activation; good to a factor of two.
_PASS_SECONDS_PER_VALUE = 5e-9
_BYTES_PER_IMAGE = 70_000


def summarise_plan(plan: Plan, done: Set[tuple[str, str, str, int]] = frozenset()) -> dict[str, Any]:
    """Return tasks, units, and estimates of time and bytes of what is still to do, as JSON.

    Args:
        plan: Of the build.
        done: Technique, layer, variant and first unit of what the atlas holds already.
    """
    techniques: dict[str, dict[str, float]] = {}
    layers_to_see: set[str] = set()
    for name, items in plan.items.items():
        row = techniques[name] = {"tasks": 0, "done": 0, "seconds": 0.0, "num_bytes": 0}
        for item in items:
            starts = item.units if item.is_per_unit else [0]
            variants = {item.variant, plan.techniques[name].better_variant(item.variant)}
            left = sum(not any((name, item.layer, variant, start) in done for variant in variants) for start in starts)
            row["tasks"] += left
            row["done"] += len(starts) - left
            row["seconds"] += item.seconds * left
            row["num_bytes"] += item.num_bytes * left
            if left and plan.techniques[name].needs_pass:
                layers_to_see.add(item.layer)
    if layers_to_see:
        values = sum(layer.num_units * _product(layer.map_size) for layer in plan.layers if layer.name in layers_to_see)
        first = next(name for name, technique in plan.techniques.items() if technique.needs_pass)
        techniques[first]["seconds"] += plan.num_images * values * _PASS_SECONDS_PER_VALUE
    seconds = sum(row["seconds"] for row in techniques.values()) / plan.options.num_workers
    num_bytes = sum(row["num_bytes"] for row in techniques.values()) + (0 if done else plan.num_images * _BYTES_PER_IMAGE)
    return {
        "model": plan.model_id,
        "spec": str(plan.adapter.spec),
        "num_layers": len(plan.layers),
        "num_units": sum(layer.num_units for layer in plan.layers),
        "num_images": plan.num_images,
        "num_skipped": len(plan.source.skipped()),
        "left_out": list(plan.adapter.left_out),
        "workers": plan.options.num_workers,
        "techniques": techniques,
        "seconds": seconds,
        "num_bytes": num_bytes,
    }


def _product(sizes: tuple[int, ...]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
