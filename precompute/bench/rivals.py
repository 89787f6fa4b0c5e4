"""What `unitscope bench serve` measures beside ours: Datasette and nginx over the same atlas, and a route that reads nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from precompute.bench.server import free_port, running
from precompute.errors import AtlasError
from precompute.store.engine import database_path

PATIENCE = 120.0
# What the framework alone can do: a route with an answer of 9 kB, and nothing else.
_BARE = """
import sys, uvicorn
from fastapi import FastAPI, Response
app = FastAPI()
body = b"x" * 9000
@app.get("/bare")
def bare():
    return Response(body)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
_NGINX = """
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    types {{ image/webp webp; image/png png; }}
    sendfile on;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location ~ "^/media/([0-9a-f]{{2}})([0-9a-f]{{62}}\\.[a-z]+)$" {{
            alias {blobs}/$1/$1$2;
            add_header Cache-Control "public, max-age=31536000, immutable";
        }}
    }}
}}
"""


@contextmanager
def datasette(atlas: Path) -> Generator[int | None]:
    """Serve the database of an atlas with Datasette, and yield the port; None where it is not installed."""
    if importlib.util.find_spec("datasette") is None:
        yield None
        return
    port = free_port()
    words = [sys.executable, "-m", "datasette", "serve", "-i", str(database_path(atlas).resolve()), "-p", str(port)]
    with running(words, port):
        yield port


@contextmanager
def nginx(atlas: Path) -> Generator[int | None]:
    """Serve the blobs of an atlas with nginx, and yield the port; None where it is not installed."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(_NGINX.format(folder=folder, port=port, blobs=(atlas / "blobs").resolve()))
        # Where root starts it, its workers are another user, who must reach the files.
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        with running([program, "-c", str(configuration), "-e", f"{folder}/error.log", *user], port):
            yield port


@contextmanager
def bare_route() -> Generator[int]:
    """Serve a route that reads nothing, and yield the port."""
    port = free_port()
    with running([sys.executable, "-c", _BARE, str(port)], port):
        yield port


def ask(port: int, addresses: Sequence[str], num_connections: int, seconds: float) -> dict[str, Any]:
    """Ask a server from a process of its own, and return what `precompute.bench.load` tells.

    Raises:
        AtlasError: An answer was not 200, or there was none.
    """
    words = [sys.executable, "-m", "precompute.bench.load", str(port), str(num_connections), str(seconds)]
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            words, input="\n".join(addresses), capture_output=True, text=True, check=False, timeout=seconds + PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        raise AtlasError(f"Port {port} stopped answering {addresses[0]} and the like.") from error
    if done.returncode:
        raise AtlasError(f"Asking port {port} failed: {done.stderr.strip()[-400:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    if found.pop("wrong") or not found["requests"]:
        raise AtlasError(f"Port {port} did not answer {addresses[0]} and the like as it should: {done.stdout.strip()[-400:]}")
    return found
