"""The client against a real server: rows, lists, frames, pictures, and errors in the server's words."""

from __future__ import annotations

import http.server
import json
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.client import frames
from app.client.transport import Transport
from tests.served import served
from unitscope import BuildGone, Client, ClientError, MissingLibrary, NotFound, Refused, ServerNotReached


@pytest.fixture(scope="module")
def asker(fixture_atlas: Path) -> Iterator[Client]:
    with served(fixture_atlas) as address:
        yield Client(address)


def test_pages_and_lists(asker: Client) -> None:
    assert [model["id"] for model in asker.models()] == ["tiny_b", "tiny_a"]
    assert [layer["name"] for layer in asker.layers("tiny_a")] == ["stem", "blocks.0.dw", "blocks.0.pw", "head.fc"]
    assert asker.unit("tiny_a", "stem", 7)["index"] == 7
    assert asker.stimulus(4)["id"] == 4
    assert any(found["kind"] == "unit" for found in asker.search("stem 3"))


def test_lists_are_followed_to_their_end(asker: Client) -> None:
    few = list(asker.partners("tiny_a", "blocks.0.pw", 7, "inputs", limit=5))
    many = list(asker.partners("tiny_a", "blocks.0.pw", 7, "inputs"))
    assert [(one["layer"], one["unit"], one["norm"]) for one in few] == [(one["layer"], one["unit"], one["norm"]) for one in many]
    assert [one["rank"] for one in few] == list(range(1, len(few) + 1))
    assert len(few) > 10


def test_rows_and_frames_are_the_same(asker: Client) -> None:
    rows = list(asker.units("tiny_a", layer="stem", min_max=2))
    pandas = asker.frame("tiny_a", "units", layer="stem", min_max=2)
    polars = asker.frame("tiny_a", "units", library="polars", layer="stem", min_max=2)
    assert list(pandas["index"]) == polars["index"].to_list() == [row["index"] for row in rows]
    assert list(pandas["metrics.mean"]) == [row["metrics"]["mean"] for row in rows]
    assert {row["group"] for row in asker.examples("tiny_a", layer="stem")} == {"top", "bottom", "quantile", "random"}
    assert next(asker.edges("tiny_a", top=1))["source_layer"] == "stem"
    assert next(asker.metrics("tiny_a"))["metric"] == "fraction_active"


def test_pictures(asker: Client) -> None:
    picture = asker.visualization("tiny_a", "stem", 7)
    assert picture is not None
    assert picture.width == picture.height
    assert asker.visualization("tiny_a", "stem", 0) is None
    tiles = asker.top_examples("tiny_a", "stem", 7, 4)
    assert [tile.size for tile in tiles] == [(144, 144)] * 4
    crop = asker.unit("tiny_a", "stem", 7)["examples"]["top"][1]["crop"]
    assert asker.picture(crop).tobytes() == tiles[1].tobytes()


def test_errors_say_what_the_server_says(asker: Client) -> None:
    with pytest.raises(NotFound, match="Did you mean 'stem'"):
        asker.page("/models/tiny_a/stam")
    with pytest.raises(Refused, match="colour") as wrong:
        asker.page("/models/tiny_a", colour="red")
    assert (wrong.value.status, wrong.value.title) == (400, "Bad request")
    with pytest.raises(BuildGone, match="As it is now"):
        asker.unit("tiny_a", "stem", 7, build="00000000-000000")
    with pytest.raises(ClientError, match="does not lead to"):
        asker.picture("http://elsewhere.example/a.png")
    with pytest.raises(ClientError, match="choose 'pandas'"):
        asker.frame("tiny_a", "units", library="excel")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ClientError, match="no address"):
        Client("nowhere")


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(frames.importlib, "import_module", missing)
    with pytest.raises(MissingLibrary, match="pillow is not installed"):
        frames.picture_of(b"")
    with pytest.raises(MissingLibrary, match="polars is not installed"):
        frames.frame_of_parquet(b"", "polars")


class _Busy(http.server.BaseHTTPRequestHandler):
    """Answers with the statuses it was given, then with a page."""

    statuses: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        status = self.statuses.pop(0) if self.statuses else 200
        body = json.dumps({"title": "Busy", "detail": "Later.", "ok": 1}).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "3")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def test_busy_servers_are_asked_again_later() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Busy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    waits: list[float] = []
    transport = Transport(f"http://127.0.0.1:{server.server_port}", 10, 3, pause=0.5, sleep=waits.append)
    try:
        _Busy.statuses = [503, 429, 503]
        assert transport.get_json("/x")["ok"] == 1
        assert waits == [0.5, 3.0, 2.0]
        _Busy.statuses = [503] * 4
        with pytest.raises(Refused, match="503 Busy: Later"):
            transport.get_json("/x")
        waits.clear()
        _Busy.statuses = [404]
        with pytest.raises(NotFound):
            transport.get_json("/x")
        assert waits == [], "what is not there is not asked for again"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
    with pytest.raises(ServerNotReached, match="unitscope serve"):
        transport.get_json("/x")


@pytest.mark.parametrize("place", range(4))
def test_examples_of_the_documentation_run(asker: Client, repository: Path, tmp_path: Path, place: int) -> None:
    examples = re.findall(r"```python\n(.*?)```", (repository / "docs" / "api.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 4
    code = examples[place].replace("http://127.0.0.1:8000", asker.transport.base)
    assert asker.transport.base in code
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    runpy.run_path(str(tmp_path / "example.py"))


def test_client_needs_python_alone() -> None:
    missing = ("torch", "fastapi", "starlette", "pydantic", "numpy", "sqlalchemy", "PIL", "pandas", "polars", "pyarrow", "jinja2")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); import unitscope; print(unitscope.Client)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
