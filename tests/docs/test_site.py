"""The documentation builds without network, and its pages load nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from secgen_dsl.diagnostics.codes import TITLES
from tests.conftest import ROOT

pytest.importorskip("mkdocs", reason="mkdocs is not installed")

PAGES = ROOT / "secgen_dsl" / "diagnostics" / "pages"

_NO_NETWORK = """
import socket

def refuse(*_):
    raise OSError("no network in this test")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
"""
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?(?P<src>[^"'\s>]+)"""
    r"""|<link\b[^>]*\bhref=["']?(?P<href>[^"'\s>]+)"""
    r"""|(?:url\(|@import\s)\s*["']?(?P<url>[^"')\s]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "blocked").mkdir()
    (folder / "blocked" / "sitecustomize.py").write_text(_NO_NETWORK, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder / "site")],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(folder / "blocked"),
            "NO_MKDOCS_2_WARNING": "1",
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(files) > len(TITLES)
    loaded = 0
    for file in files:
        for match in _LOADED.finditer(file.read_text(encoding="utf-8")):
            (address,) = (part for part in match.groups() if part)
            loaded += 1
            assert not re.match(r"(?:[a-z]+:)?//", address), f"{file.name} loads {address}"
    assert loaded > 100


def test_the_index_leads_to_the_page_of_each_code(site: Path) -> None:
    index = (site / "reference" / "diagnostics" / "index.html").read_text(encoding="utf-8")
    with_page = [path.stem for path in PAGES.glob("SG*.md")]
    assert with_page
    assert 'href="reference/diagnostics/index.html"' in (site / "index.html").read_text("utf-8")
    for code in TITLES:
        assert code in index
        if code in with_page:
            assert (site / "reference" / "diagnostics" / f"{code}.html").is_file(), code
            assert f'href="{code}.html"' in index


def test_specs_are_shown_in_colour(site: Path) -> None:
    page = (site / "tutorial.html").read_text(encoding="utf-8")
    assert '<span class="k">purpose</span>' in page
