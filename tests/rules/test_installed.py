"""S18: an installed secgen has no other source of noise than the system's, and no way to name one.

The wheel is built as an installation builds it, unpacked, and read and run from there.
"""

import ast
import importlib.metadata
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.rules.cases import CONFIGURATION

SITE = ("runtime", "queries", "privacy", "backends", "ir", "verifier")
"""Packages of what runs at a site between its rows and the opened values."""

GENERATORS = {"random", "default_rng", "RandomState", "SeedSequence", "Generator", "seed"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content."""
    if int(importlib.metadata.version("setuptools").split(".")[0]) < 77:
        pytest.skip("setuptools is too old to build the wheel")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("secgen_dsl", "grammar", "backends"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", tree / "wheels", tree),
        ],
        check=True,
    )
    (wheel,) = (tree / "wheels").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tree / "installed")
    return tree / "installed"


@pytest.fixture(scope="module")
def modules(installed: Path) -> dict[str, ast.Module]:
    """Each installed module by its path."""
    found = {
        str(path.relative_to(installed)): ast.parse(path.read_text(encoding="utf-8"))
        for path in installed.rglob("*.py")
    }
    assert len(found) > 150
    assert "secgen_dsl/runtime/noise.py" in found
    return found


def _names(tree: ast.AST) -> set[str]:
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {part for alias in node.names for part in alias.name.split(".")}
            found |= set((getattr(node, "module", "") or "").split("."))
    return found


def test_no_test_code_is_installed(installed: Path, modules: dict[str, ast.Module]) -> None:
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"secgen_dsl"}
    for name, tree in modules.items():
        assert not _names(tree) & {"tests", "pytest", "unittest", "hypothesis"}, name


def test_only_the_systems_noise_can_be_drawn(modules: dict[str, ast.Module]) -> None:
    sources = {
        (name, node.name)
        for name, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(isinstance(part, ast.FunctionDef) and part.name == "draw" for part in node.body)
    }
    noise = "secgen_dsl/runtime/noise.py"
    assert sources == {(noise, "NoiseSource"), (noise, "SystemNoise")}  # of these one a protocol


def test_no_caller_names_another_source(modules: dict[str, ast.Module]) -> None:
    """Whoever passes noise on passes what it was given; who begins, the system's."""
    begun = set()
    for name, tree in modules.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            for keyword in call.keywords:
                # A release of a plan has noise as well: its figures, not its source.
                if keyword.arg != "noise" or ast.unparse(call.func) == "Release":
                    continue
                written = ast.unparse(keyword.value)
                assert written in ("noise", "SystemNoise()"), (name, written)
                begun.add((name, written))
    assert ("secgen_dsl/backends/mpyc/process.py", "SystemNoise()") in begun


def test_no_command_gives_the_plaintext_backend_noise(modules: dict[str, ast.Module]) -> None:
    calls = [
        (name, call)
        for name, tree in modules.items()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("backend.run_plaintext")
    ]
    assert {name for name, _ in calls} >= {"secgen_dsl/cli/execution.py"}
    for name, call in calls:
        assert (len(call.args), call.keywords) == (2, []), name


def test_what_runs_at_a_site_knows_no_other_generator(modules: dict[str, ast.Module]) -> None:
    read = 0
    for name, tree in modules.items():
        if name.startswith(tuple(f"secgen_dsl/{package}/" for package in SITE)):
            assert not _names(tree) & GENERATORS, name
            read += 1
    assert read > 40


@pytest.mark.parametrize("hook", ["noise", "seed", "verify", "test"])
def test_an_installed_party_takes_no_hook(installed: Path, hook: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(installed)!r})\n"
         "import secgen_dsl; print(secgen_dsl.__file__, file=sys.stderr)\n"
         "from secgen_dsl.backends.mpyc.process import main; sys.exit(main())"],
        input=json.dumps(CONFIGURATION | {hook: 1}) + "\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=installed,
    )  # fmt: skip
    assert str(installed) in done.stderr
    assert done.returncode == 1
    (failed,) = json.loads(done.stdout)["failed"]
    assert failed["code"] == "SG515"
    assert hook in failed["message"]
