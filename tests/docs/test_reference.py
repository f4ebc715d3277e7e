"""The language reference is what the grammar and the compiler say today."""

from tests.docs.pages import DOCS
from tools.build_language_reference import build


def test_the_committed_page_is_the_one_that_the_script_writes() -> None:
    page = (DOCS / "reference" / "language.md").read_text(encoding="utf-8")
    assert page == build(), "run python -m tools.build_language_reference"
