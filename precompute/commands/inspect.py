"""`unitscope models`, `layers`, `status`, `verify`, `bench`: looking without changing anything."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from precompute.commands.build import need_precompute
from precompute.errors import UsageError

BENCHES = ("featurevis", "pass", "weights", "serve")


def add_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    models = commands.add_parser(
        "models", help="list the models that can be built", description="Example: unitscope models 'resnet*'"
    )
    models.add_argument("pattern", nargs="?", default="", metavar="PATTERN", help="part of a name, or a pattern with '*'")
    models.set_defaults(run=run_models)
    layers = commands.add_parser(
        "layers", help="list the layers of a model", description="Example: unitscope layers timm:resnet18@random:0"
    )
    layers.add_argument("spec", metavar="SPEC", help="the model, SOURCE:NAME[@WEIGHTS]")
    layers.add_argument("--json", action="store_true", help="print one JSON object")
    layers.add_argument("--partial", action="store_true", help="allow a weight file that lacks parameters")
    layers.set_defaults(run=run_layers)
    status = commands.add_parser(
        "status", help="what is done, failed and to do", description="Example: unitscope status --atlas atlas"
    )
    verify = commands.add_parser(
        "verify", help="check every file of an atlas", description="Example: unitscope verify --atlas atlas"
    )
    for parser, run in ((status, run_status), (verify, run_verify)):
        parser.add_argument("--atlas", required=True, metavar="DIR", type=Path, help="the folder of the atlas")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.set_defaults(run=run)
    bench = commands.add_parser(
        "bench", help="measure, side by side in one run", description="Example: unitscope bench pass --json"
    )
    bench.add_argument("name", choices=BENCHES, metavar="NAME", help=", ".join(BENCHES))
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.add_argument("--atlas", metavar="DIR", type=Path, default=Path("atlas"), help="the atlas that 'serve' measures")
    bench.add_argument("--model", metavar="SPEC", help="the model that 'featurevis' renders, by default the embedded one")
    bench.add_argument("--layer", metavar="NAME", action="append", default=[], help="a layer of it, any number of times")
    bench.add_argument("--flat", action="store_true", help="let 'featurevis' measure one job of 10,000 pictures, too")
    bench.add_argument("--million", action="store_true", help="let 'weights' or 'serve' measure a million units, too")
    bench.set_defaults(run=run_bench)


def run_models(arguments: argparse.Namespace) -> int:
    """List the architectures of every family."""
    need_precompute()
    from precompute.errors import UnknownName
    from precompute.models.base import MODELS

    names = [f"{source}:{name}" for source, family in MODELS.items() for name in family.available()]
    pattern = arguments.pattern
    found = [name for name in names if matches(name, pattern)]
    if not found:
        raise UnknownName("model", pattern, [name.partition(":")[2] for name in names], hint="`unitscope models` lists all.")
    print("\n".join(found))
    return 0


def matches(name: str, pattern: str) -> bool:
    """Tell whether `SOURCE:NAME` fits a pattern: all of the name or of both where it has wildcards, else any part."""
    if any(character in pattern for character in "*?["):
        return fnmatchcase(name, pattern) or fnmatchcase(name.partition(":")[2], pattern)
    return pattern in name


def run_layers(arguments: argparse.Namespace) -> int:
    """List the layers of a model."""
    need_precompute()
    from precompute.models.base import load_model

    adapter = load_model(arguments.spec, is_partial=arguments.partial)
    layers = adapter.layers()
    left_out = list(adapter.left_out)
    if arguments.json:
        weights = asdict(adapter.weights)
        print(
            json.dumps(
                {
                    "spec": str(adapter.spec),
                    "weights": weights,
                    "left_out": left_out,
                    "layers": [asdict(layer) for layer in layers],
                }
            )
        )
        return 0
    print(
        f"{adapter.spec}: {adapter.num_parameters:,} parameters, {adapter.weights.origin} weights, "
        f"sha256 {adapter.weights.sha256}"
    )
    if left_out:
        print(f"left out, since they depend on parameters that the file lacks: {', '.join(left_out)}")
    print(f"{'layer':40} {'kind':8} {'units':>6} {'map':>10} {'field px':>9} {'stride':>7}  default  inputs")
    for layer in layers:
        size = "x".join(map(str, layer.map_size)) or "-"
        field = "-" if layer.receptive_field_px is None else str(layer.receptive_field_px)
        mark = "yes" if layer.is_default else "no"
        print(
            f"{layer.name:40} {layer.kind:8} {layer.num_units:>6} {size:>10} {field:>9} {layer.stride_px or '-':>7}  {mark:7}  "
            f"{', '.join(layer.inputs)}"
        )
    chosen = [layer for layer in layers if layer.is_default]
    print(f"{len(chosen)} layers with {sum(layer.num_units for layer in chosen):,} units are built where --layers names none.")
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    """Say what is done, failed and to do."""
    from precompute.store.status import read_status

    status = read_status(arguments.atlas)
    if arguments.json:
        print(json.dumps(status))
        return 0
    if not status["models"]:
        print(f"{arguments.atlas}: no model yet")
    for model in status["models"]:
        print(f"{model['id']} ({model['spec']}): {model['done']} done, {model['failed']} failed, {model['todo']} to do")
        for layer in model["layers"]:
            parts = [
                f"{name} {counts['done']}/{sum(counts.values())}" + (f" ({counts['failed']} failed)" if counts["failed"] else "")
                for name, counts in layer["techniques"].items()
            ]
            print(f"  {layer['name']:40} {'   '.join(parts)}")
        for error in model["errors"]:
            print(f"  failed: {error['technique']} of {error['layer']}/{error['unit']}: {error['error']}")
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Check every file, and fail where one is missing or altered."""
    from precompute.store.verify import verify

    report = verify(arguments.atlas)
    if arguments.json:
        print(json.dumps({"ok": not report.problems, **asdict(report)}))
    else:
        for problem in report.problems:
            print(f"{problem.kind}: {problem.name} ({problem.used_by})")
        print(f"{report.num_blobs} files, {report.num_bytes / 1e6:.1f} MB, {len(report.problems)} problems")
    return 1 if report.problems else 0


def run_bench(arguments: argparse.Namespace) -> int:
    """Measure, and print ratios."""
    from importlib import import_module

    if arguments.name != "serve":
        need_precompute()
    if arguments.name != "featurevis" and (arguments.model or arguments.layer or arguments.flat):
        raise UsageError(f"--model, --layer and --flat are for 'featurevis', not for {arguments.name!r}. Leave them out.")
    if arguments.name not in ("weights", "serve") and arguments.million:
        raise UsageError(f"--million is for 'weights' and 'serve', not for {arguments.name!r}. Leave it out.")
    from precompute.bench.machine import BenchOptions

    chosen = {"model": arguments.model} if arguments.model else {}
    options = BenchOptions(
        arguments.atlas, layers=tuple(arguments.layer), is_flat=arguments.flat, is_million=arguments.million, **chosen
    )
    result = import_module(f"precompute.bench.{arguments.name}_bench").measure(options)
    if arguments.json:
        print(json.dumps(result))
        return 0
    for name, value in result["ratios"].items():
        print(f"{name:40} {value:8.2f}")
    print(json.dumps(result["details"], indent=2))
    return 0
