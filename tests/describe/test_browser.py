"""The HTML in a real Chromium: quiet, alone, whole, and without a fault that axe-core knows of.

``make test-full`` runs it.  Set SECGEN_SCREENSHOTS to a folder to keep the pictures.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest

from secgen_dsl.describe.render.html import render_html
from tests.describe.browser import CHROMIUM, FAULTS, LOST, Browser
from tests.describe.samples import sample

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM} (Debian: chromium)"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "description.html"
    file.write_text(render_html(sample()), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Browser]:
    with Browser() as browser:
        browser.size(1400, 900)
        browser.open(page)
        yield browser


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("SECGEN_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_page_asks_for_itself_alone_and_complains_of_nothing(
    browser: Browser, page: Path
) -> None:
    assert set(browser.requests) == {page.as_uri()}
    assert browser.messages == []


def test_a_request_would_be_noticed(tmp_path: Path) -> None:
    file = tmp_path / "loud.html"
    file.write_text('<img src="other.png"><script>console.log("loud")</script>', encoding="utf-8")
    with Browser() as browser:
        browser.open(file)
        assert (tmp_path / "other.png").as_uri() in browser.requests
        assert any("loud" in each for each in browser.messages)


def test_every_anchor_resolves(browser: Browser) -> None:
    assert browser.run("document.querySelectorAll('a[href]').length") > 20
    assert browser.run(LOST) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: Browser, axe: str, scheme: str) -> None:
    browser.media("screen", scheme)
    browser.run(f"{axe};0")
    assert browser.run(FAULTS) == []


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(
    browser: Browser, pictures: Path, scheme: str, width: int
) -> None:
    browser.media("screen", scheme)
    browser.size(width, 900)
    browser.screenshot(pictures / f"{scheme}-{width}.png")
    assert browser.run("document.documentElement.scrollWidth") <= width
    dark = browser.run("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


def test_on_paper_all_is_unfolded_and_the_first_section_has_its_page(
    browser: Browser, pictures: Path
) -> None:
    browser.media("", "dark")
    printed = browser.paper()
    (pictures / "print.pdf").write_bytes(printed)
    reader = pypdf.PdfReader(io.BytesIO(printed))
    pages = [each.extract_text() for each in reader.pages]
    box = reader.pages[0].mediabox
    assert (round(float(box.width)), round(float(box.height))) == (595, 842)
    assert "1. In plain words" in pages[1]
    assert "2. Data and people" not in pages[1]
    text = "\n".join(pages)
    # A folded table and a folded listing.
    assert text.count("Share of the budget by query, in per cent") == 2
    assert "GENE59" in text
    assert f"1 / {len(pages)}" in pages[0]
    assert "Skip to the text" not in text
