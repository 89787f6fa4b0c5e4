"""`unitscope serve`: the web app over an atlas."""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path
from typing import Any

from precompute.errors import ServeError, UsageError

ATLAS_VARIABLE = "UNITSCOPE_ATLAS"


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve", help="serve an atlas on this machine", description="Example: unitscope serve --atlas atlas --port 8000"
    )
    parser.add_argument("--atlas", required=True, metavar="DIR", type=Path, help="the folder of the atlas")
    add_address(parser)
    parser.set_defaults(run=run_serve)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add where to listen."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1, this machine alone")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default 8000")


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    serve(arguments.atlas, arguments.host, arguments.port)
    return 0


def serve(atlas: Path, host: str, port: int) -> None:
    """Serve an atlas until stopped.

    Raises:
        ServeError: The port is taken or the address is not one of this machine.
    """
    refuse_taken_port(host, port)
    import uvicorn

    # The app is named, not imported: precompute never sees it, and the web process never sees torch.
    os.environ[ATLAS_VARIABLE] = str(atlas)
    print(f"unitscope serves {atlas} on http://{host}:{port}/", flush=True)
    uvicorn.run(
        "app.server:create_app_from_environment", factory=True, host=host, port=port, log_level="warning", server_header=False
    )


def refuse_taken_port(host: str, port: int) -> None:
    """Check that the port is free.

    Raises:
        ServeError: It is not, or the address is not one of this machine.
        UsageError: There is no such port.
    """
    if not 0 < port < 65536:
        raise UsageError(f"There is no port {port}: choose one from 1 to 65535, for example --port 8000.")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ServeError(
            f"Cannot listen on {host}:{port} ({error.strerror or error}). "
            f"Another program may use the port: try --port {port + 1}."
        ) from error
