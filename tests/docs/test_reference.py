"""The language reference is what the grammar and the compiler say today."""

import click

from secgen_dsl.cli.main import group
from tests.docs.pages import DOCS
from tools.build_language_reference import build


def test_the_committed_page_is_the_one_that_the_script_writes() -> None:
    page = (DOCS / "reference" / "language.md").read_text(encoding="utf-8")
    assert page == build(), "run python -m tools.build_language_reference"


def test_every_command_is_on_the_page_of_commands() -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    for name in group.list_commands(click.Context(group)):
        assert f"### secgen {name}\n" in page, name
