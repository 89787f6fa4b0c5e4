"""The example of the documentation, as it stands, in a real nginx before a real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from precompute.bench.server import free_port, serving_on, wait_for

pytestmark = pytest.mark.slow
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "deploying.md"
FRAME = "daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n{user}events {{}}\nhttp {{ {paths} {inner} }}\n"
PATHS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@pytest.fixture
def proxy(fixture_atlas: Path, tmp_path: Path) -> Iterator[int]:
    """Return the port of an nginx that has the documented configuration, with folder and ports of this test."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    assert program is not None, "nginx is missing: `apt-get install nginx-light`"
    port = free_port()
    with serving_on(fixture_atlas) as ours:
        inner = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[0]
        for before, after in (
            ("/srv/unitscope/atlas", str(fixture_atlas)),
            ("127.0.0.1:8000", f"127.0.0.1:{ours}"),
            ("listen 80;", f"listen 127.0.0.1:{port};"),
            ("server_name units.example.org;", "server_name 127.0.0.1;"),
        ):
            assert before in inner
            inner = inner.replace(before, after)
        paths = " ".join(f"{name}_temp_path {tmp_path}/{name};" for name in PATHS) + " access_log off;"
        user = "user root;\n" if os.geteuid() == 0 else ""
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(FRAME.format(folder=tmp_path, paths=paths, inner=inner, user=user))
        subprocess.run([program, "-t", "-c", configuration, "-e", f"{tmp_path}/error.log"], check=True)
        server = subprocess.Popen([program, "-c", str(configuration), "-e", f"{tmp_path}/error.log"])
        try:
            wait_for(port).close()
            yield port
        finally:
            server.terminate()
            server.wait()


def test_nginx_sends_files_itself_and_leaves_pages_to_the_server(proxy: int, fixture_atlas: Path) -> None:
    blob = next(iter(sorted((fixture_atlas / "blobs").rglob("*.webp"))))
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy}/media/{blob.name}") as answer:
        assert answer.read() == blob.read_bytes()
        assert answer.headers["Server"].startswith("nginx")
        assert answer.headers["Content-Type"] == "image/webp"
        assert "immutable" in answer.headers["Cache-Control"]
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy}/models/tiny_a/stem/5") as answer:
        assert b"stem" in answer.read()
        assert 'rel="alternate"' in answer.headers["Link"]
    with pytest.raises(urllib.error.HTTPError) as wrong:
        urllib.request.urlopen(f"http://127.0.0.1:{proxy}/media/{'0' * 64}.webp")
    assert wrong.value.code == 404
    assert "named by the sha256" in wrong.value.read().decode()
