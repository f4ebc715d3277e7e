"""Pages of real studies in a real Chromium: quiet, alone, every anchor there; axe-core when slow.

Where there is no Chromium (Debian: chromium), this is skipped and says so.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from secgen_dsl.cli.comparison import sides_with
from secgen_dsl.cli.describing import approvals_of, execution_of, spending_of
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.catalogue import LANGUAGES
from secgen_dsl.describe.render.html import render_html
from secgen_dsl.describe.sections import document_of
from secgen_dsl.describe.subject import Subject
from tests.conftest import SPECS
from tests.describe.browser import CHROMIUM, FAULTS, LOST, Browser
from tests.describe.subjects import subject_of
from tests.field import FieldRun

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM} (Debian: chromium)")

_UNFOLD = 'document.querySelectorAll("details").forEach(each => each.open = true)'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        browser.size(1400, 900)
        yield browser


def opened(browser: Browser, subject: Subject, language: str, file: Path) -> None:
    """Open a subject's page, which asks for itself alone and complains of nothing."""
    file.write_text(render_html(document_of(subject, language)[0]), encoding="utf-8")
    browser.requests.clear()
    browser.messages.clear()
    browser.open(file)
    assert set(browser.requests) == {file.as_uri()}
    assert browser.messages == []
    assert browser.run("document.querySelectorAll('a[href]').length") > 100
    assert browser.run(LOST) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_study(language: str, browser: Browser, tmp_path: Path) -> None:
    opened(browser, subject_of(SPECS / "two_hospitals.secgen"), language, tmp_path / "d.html")
    browser.size(390, 900)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.size(1400, 900)


def without_fault(browser: Browser, axe: str, subject: Subject, file: Path) -> None:
    for language in LANGUAGES:
        opened(browser, subject, language, file)
        browser.run(_UNFOLD)
        browser.run(f"{axe};0")
        for scheme in ("light", "dark"):
            browser.media("screen", scheme)
            assert browser.run(FAULTS) == [], (language, scheme)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["colorectal", "two_hospitals", "brca_structure"])
def test_axe_finds_no_fault_in_a_study(
    name: str, browser: Browser, axe: str, tmp_path: Path
) -> None:
    without_fault(browser, axe, subject_of(SPECS / f"{name}.secgen"), tmp_path / "d.html")


@pytest.mark.slow
def test_axe_finds_no_fault_beside_evidence(
    browser: Browser, axe: str, field_run: FieldRun, two_hospitals: PlannedStudy, tmp_path: Path
) -> None:
    """Approvals, a ledger, changes since another plan, and what was executed."""
    field = field_run.field
    text = (SPECS / "two_hospitals.secgen").read_text("utf-8")
    old = tmp_path / "old.secgen"
    old.write_text(text.replace("epsilon 1", "epsilon 2"), "utf-8")
    store = field.state("north") / "store.sqlite"
    subject = replace(
        subject_of(SPECS / "two_hospitals.secgen"),
        approvals=approvals_of(field.folder, two_hospitals, field.consortium),
        spending=spending_of(store, two_hospitals, None),
        execution=execution_of(field_run.complete["north"], two_hospitals, field.consortium, store),
        against=sides_with(old, two_hospitals),
    )
    without_fault(browser, axe, subject, tmp_path / "d.html")
