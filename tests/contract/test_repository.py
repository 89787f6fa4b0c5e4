"""What holds for the whole repository: folders, sizes, words, one configuration file, no torch in the web process."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"app", "precompute", "static", "templates", "tests"}
COMMANDS = (
    "demo",
    "build",
    "plan",
    "render",
    "status",
    "verify",
    "upgrade",
    "serve",
    "export",
    "warm",
    "models",
    "layers",
    "circuits",
    "annotations",
    "bench",
)
SECOND_CONFIGURATIONS = (
    "setup.py",
    "setup.cfg",
    "tox.ini",
    "pytest.ini",
    "ruff.toml",
    ".ruff.toml",
    ".flake8",
    ".importlinter",
    "pyrightconfig.json",
    "mypy.ini",
)
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
MAX_LINES, MAX_TEST_LINES, MAX_TEMPLATE_LINES, MAX_SCRIPT_LINES, MAX_FUNCTION_LINES = 400, 600, 120, 200, 80

# Put together from pieces, so that this file does not contain what it forbids.
BANNED = {
    "a folder outside the repository": r"\.\./" + "shared",
    "a path of one machine": r"(?<![\w.])/" + r"(work|opt/w|root|home/\w+|Users/\w+)/",
    "the host of a registry": "|".join([r"pypi\." + "org", r"files\.python" + "hosted", r"registry\.npm" + "js"]),
    "a task without a number": r"\b(TO" + "DO|FIX" + r"ME|XX" + r"X)\b(?!\(#\d+\))",
}


def tracked() -> list[Path]:
    """Return every file that belongs to the repository, those not yet added included."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def texts() -> list[tuple[str, str]]:
    """Return `(path, text)` of every text file of ours."""
    found = []
    for path in tracked():
        if path.suffix in {".png", ".webp", ".jpg", ".ico", ".woff2"} or path.name in {"LICENSE", "package-lock.json"}:
            continue
        found.append((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
    return found


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def test_top_level_folders_are_those_of_the_design() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked() if len(path.relative_to(ROOT).parts) > 1}
    assert {name for name in found if not name.startswith(".")} == FOLDERS | ({"docs"} & found)


@pytest.mark.parametrize("name", ["pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", ".ci/run"])
def test_what_every_project_needs_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


def test_the_licence_is_apache_2_in_full() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_there_is_one_configuration_file_for_all_tools() -> None:
    assert [name for name in SECOND_CONFIGURATIONS if (ROOT / name).exists()] == []
    assert [path for path in tracked() if path.name == "conftest.py"] == [ROOT / "tests" / "conftest.py"]


def test_modules_are_named_for_a_concept() -> None:
    vague = [path for path in tracked() if path.stem in VAGUE_NAMES or VAGUE_NAMES & set(path.relative_to(ROOT).parts[:-1])]
    assert vague == []


def test_files_are_short() -> None:
    limits = {".py": MAX_LINES, ".html": MAX_TEMPLATE_LINES, ".js": MAX_SCRIPT_LINES}
    long = []
    for name, text in texts():
        limit = MAX_TEST_LINES if name.startswith("tests/") else limits.get(Path(name).suffix)
        if limit is not None and text.count("\n") > limit:
            long.append(f"{name}: {text.count(chr(10))} lines, at most {limit}")
    assert long == []


def test_functions_are_short() -> None:
    long = []
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                num_lines = node.end_lineno - node.lineno + 1
                if num_lines > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {num_lines} lines")
    assert long == []


@pytest.mark.parametrize("what", BANNED)
def test_no_file_mentions(what: str) -> None:
    pattern = re.compile(BANNED[what])
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


def test_only_the_tiers_skip_tests() -> None:
    pattern = re.compile(r"pytest\.(skip|importorskip|xfail)\(|mark\.(skip|skipif|xfail)\b")
    here = Path(__file__).relative_to(ROOT).as_posix()
    allowed = {here, "tests/conftest.py"}
    found = [name for name, text in texts() if name.endswith(".py") and name not in allowed and pattern.search(text)]
    assert found == [], "a test that does not run everywhere belongs to a tier of tests/conftest.py"


def test_the_web_process_never_needs_torch() -> None:
    missing = ("torch", "torchvision", "timm", "safetensors", "skimage", "sklearn")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); import app.main, precompute.store.engine, precompute.cli"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_command_is_quick() -> None:
    code = "import sys; import precompute.cli; print([name for name in ('torch', 'timm', 'skimage') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_base_install_has_no_torch_and_every_range_has_an_end() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras) == {"precompute", "demo", "lucent", "bench", "parquet", "frames", "dev"}
    assert not [item for item in project["dependencies"] if re.match(r"torch|timm|scikit", item)]
    everything = [*project["dependencies"], *(item for items in extras.values() for item in items)]
    assert [item for item in everything if "<" not in item and "==" not in item and not item.startswith("unitscope[")] == []


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "http" in package.get("resolved", "")] == []
    assert [name for name, package in lock["packages"].items() if name and "integrity" not in package] == []


def test_front_end_libraries_are_installed_and_not_checked_in() -> None:
    assert [path for path in tracked() if "vendor" in path.parts or "node_modules" in path.parts] == []
    assert (ROOT / "package.json").is_file()


def test_the_readme_and_the_help_name_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [command for command in COMMANDS if f"`unitscope {command}" not in readme] == []
    code = "import sys; sys.argv = ['unitscope', '--help']; from precompute.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [command for command in COMMANDS if not re.search(rf"\b{command}\b", done.stdout)] == []


def test_the_readme_and_the_help_name_every_make_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [target for target in targets if f"`make {target}" not in readme] == []
    assert [target for target in targets if not re.search(rf"^{target}:.* ## ", makefile, re.MULTILINE)] == []


def test_the_check_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    lines = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert lines[-1] == "make test", "the summary of the tests closes the output"
    assert "make lint" in lines
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
