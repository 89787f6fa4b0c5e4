"""`unitscope serve`: the web app over an atlas."""

from __future__ import annotations

import argparse
import ipaddress
import math
import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from precompute.errors import ServeError, UsageError
from precompute.public_address import VARIABLE as PUBLIC_URL_VARIABLE
from precompute.public_address import check_public_url
from precompute.write_token import VARIABLE as TOKEN_FILE_VARIABLE
from precompute.write_token import make_token_file, read_token

ATLAS_VARIABLE = "UNITSCOPE_ATLAS"
RATE_VARIABLE = "UNITSCOPE_REQUESTS_PER_SECOND"
USUAL_RATE = 100.0
THREADS_VARIABLE = "OPENBLAS_NUM_THREADS"


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve", help="serve an atlas on this machine", description="Example: unitscope serve --atlas atlas --port 8000"
    )
    parser.add_argument("--atlas", required=True, metavar="DIR", type=Path, help="the folder of the atlas")
    add_address(parser)
    parser.add_argument(
        "--write", action="store_true", help="let those write annotations, circuits and short links who know the token"
    )
    text = "with --write: the file that holds the token; by default a new one is made and printed"
    parser.add_argument("--write-token-file", metavar="FILE", type=Path, help=text)
    text = "how many requests a second one client may send; by default 100, and any number on this machine alone; 0: any number"
    parser.add_argument("--rate-limit", metavar="N", type=float, help=text)
    text = "address of the proxy in front, which is believed when it says who asks (X-Forwarded-For); by default nobody is"
    parser.add_argument("--proxy", metavar="ADDRESS", help=text)
    text = "how many processes answer; default 1"
    parser.add_argument("--workers", metavar="N", type=int, default=1, help=text)
    text = "scheme and host at which people reach the server, such as https://units.example.org: for cards and embedding"
    parser.add_argument("--public-url", metavar="URL", help=text)
    parser.set_defaults(run=run_serve)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add where to listen."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1, this machine alone")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default 8000")


@dataclass(frozen=True)
class ServeOptions:
    """How an atlas is served.

    Attributes:
        host: Address to listen on.
        port: Port to listen on.
        token_file: Holds the token that allows writing; by default what the environment says, else nobody may write.
        rate_limit: Requests a second that one client may send, 0 for any number; None for what is usual.
        proxy: Address of the proxy that is believed when it says who asks.
        num_workers: How many processes answer.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    rate_limit: float | None = None
    proxy: str | None = None
    num_workers: int = 1

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UsageError: One of them is impossible.
        """
        if self.rate_limit is not None and not 0 <= self.rate_limit < math.inf:
            raise UsageError("--rate-limit takes a number of requests a second, such as 100, or 0 for any number.")
        if not 1 <= self.num_workers <= 64:
            raise UsageError("--workers takes a whole number from 1 to 64.")

    @property
    def requests_per_second(self) -> float:
        """Return what one client may send: without a word, any number where only this machine can ask."""
        if self.rate_limit is not None:
            return self.rate_limit
        return 0.0 if is_loopback(self.host) and self.proxy is None else USUAL_RATE


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    token_file: Path | None = arguments.write_token_file
    if token_file is not None and not arguments.write:
        raise UsageError("--write-token-file belongs to --write: add that, or leave both out to serve read-only.")
    if arguments.public_url is not None:
        os.environ[PUBLIC_URL_VARIABLE] = check_public_url(arguments.public_url)
    options = ServeOptions(arguments.host, arguments.port, token_file, arguments.rate_limit, arguments.proxy, arguments.workers)
    refuse_taken_port(options.host, options.port)
    if not arguments.write:
        serve(arguments.atlas, options)
        return 0
    if token_file is not None:
        read_token(token_file)
        print(f"Writing is on, with the token in {token_file}.", flush=True)
        serve(arguments.atlas, options)
        return 0
    token, made = make_token_file()
    print(f"Writing is on. The token, until this server stops: {token}", flush=True)
    try:
        serve(arguments.atlas, replace(options, token_file=made))
    finally:
        made.unlink(missing_ok=True)
    return 0


def serve(atlas: Path, options: ServeOptions) -> None:
    """Serve an atlas until stopped.

    Args:
        atlas: Folder of the atlas.
        options: Where and how.

    Raises:
        ServeError: The port is taken or the address is not one of this machine.
    """
    host, port = options.host, options.port
    refuse_taken_port(host, port)
    import uvicorn

    # The app is named, not imported: precompute never sees it, and the web process never sees torch.
    os.environ[ATLAS_VARIABLE] = str(atlas)
    os.environ[RATE_VARIABLE] = str(options.requests_per_second)
    if options.token_file is not None:
        os.environ[TOKEN_FILE_VARIABLE] = str(options.token_file)
    # Numpy has not been loaded yet. The products behind a page are small: on a machine that is busy, threads that wait for
    # each other made them fifteen times slower than one thread.
    os.environ.setdefault(THREADS_VARIABLE, "1")
    print(f"unitscope serves {atlas} on http://{host}:{port}/", flush=True)
    uvicorn.run(
        "app.server:create_app_from_environment",
        factory=True,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        workers=options.num_workers,
        # Anybody can write a header: only the proxy that was named is believed.
        proxy_headers=options.proxy is not None,
        forwarded_allow_ips=options.proxy or "",
        # Whoever follows a build keeps a connection open, and would hold up the end of the server.
        timeout_graceful_shutdown=2,
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
