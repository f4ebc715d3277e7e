"""Everything that the documentation shows is run: specs, site files, commands and their output.

`SECGEN_UPDATE_GOLDEN=1` writes the output into the pages instead.
"""

import os
import re
from pathlib import Path

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError, Source
from secgen_dsl.semantics.resolve import resolve
from secgen_dsl.syntax import tree
from secgen_dsl.syntax.format import format_text
from secgen_dsl.syntax.parser import parse
from tests.conftest import ROOT, SPECS
from tests.docs.pages import DOCS, GAP, Block, blocks, prepare, run, same, steps, tidy, write
from tools.build_language_reference import BASE

PAGES = sorted(path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
WITH_COMMANDS = [
    page
    for page in PAGES
    if any(b.language == "console" for b in blocks((DOCS / page).read_text(encoding="utf-8")))
]
UPDATE = bool(os.environ.get("SECGEN_UPDATE_GOLDEN"))

SHARED = Path(os.environ.get("SECGEN_SHARED_DATA", ROOT.parent / "shared" / "data"))
"""Public tables that are not part of the repository; a page that names one is skipped without."""


def read(page: Path) -> tuple[str, list[Block]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return text, list(blocks(text))


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    text, found = read(page)
    absent = []
    for name in ("tcga_brca_l1000.csv.gz", "scanb_gse96058_400.csv.gz"):
        if (SHARED / name).exists():
            (tmp_path / name).symlink_to(SHARED / name)
        else:
            absent.append(name)
    # What reads a table that is no part of the repository is left out where the table is not.
    left_out = [b.title for b in found if b.title and any(name in b.text for name in absent)]
    prepare(tmp_path)
    updated, end = "", 0
    for block in found:
        if block.title:
            write(tmp_path, block)
        if block.language != "console":
            continue
        printed = ""
        for step in steps(block.text):
            if any(title in step.command.split() for title in left_out):
                printed += f"$ {step.command}\n{step.shown}"
                continue
            code, output = run(step.command, tmp_path)
            output = tidy(output, tmp_path)
            assert "Traceback" not in output, output
            fits = same(step.shown, output, varies=block.varies)
            if UPDATE and (not fits or hashes(step.shown) - hashes(output)):
                assert GAP not in step.shown, f"{step.command} prints something else:\n{output}"
                printed += f"$ {step.command}\n{output}"
                continue
            assert fits, f"$ {step.command}\n{output}"
            assert code == (1 if step.fails else 0), f"{step.command} ended with {code}"
            printed += f"$ {step.command}\n{step.shown}"
        updated += text[end : block.start] + printed
        end = block.end
    if UPDATE:
        (DOCS / page).write_text(updated + text[end:], encoding="utf-8")


def hashes(text: str) -> set[str]:
    """Hashes of plans in what a command prints: they are the same in every run."""
    return set(re.findall(r"^plan +([0-9a-f]{64})$", text, re.MULTILINE))


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_a_spec_has_one_plan_on_a_page(page: Path) -> None:
    plans: dict[str, set[str]] = {}
    for block in read(page)[1]:
        for step in steps(block.text) if block.language == "console" else ():
            found = re.match(r"secgen (?:plan|check|compile) (\S+\.secgen)", step.command)
            if found:
                plans.setdefault(found[1], set()).update(hashes(step.shown))
    assert all(len(found) <= 1 for found in plans.values()), plans


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    """So that they lead somewhere on GitHub, too."""
    for target in re.findall(r"\]\(([^)#\s]+)", read(page)[0]):
        assert "://" in target or (DOCS / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_spec_with_a_title_is_checked_on_its_page(page: Path) -> None:
    _, found = read(page)
    commands = "\n".join(b.text for b in found if b.language == "console")
    for block in found:
        if block.title.endswith(".secgen"):
            assert block.title in commands, f"no command reads {block.title}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_specs_have_the_canonical_layout(page: Path) -> None:
    for block in read(page)[1]:
        if block.language == "secgen":
            assert block.text == format_text(block.text)


FRAGMENTS = [
    (page, block.text)
    for page in PAGES
    for block in read(page)[1]
    if block.language == "secgen" and not block.title
]


def complete(fragment: str) -> str:
    """A fragment, and behind it the blocks of the small spec that it does not bring."""
    brought = {type(item) for item in parse(Source("fragment", fragment)).items}
    # A fragment with columns of its own has no `sex` to measure.
    base = BASE.replace("; marginal sex", "") if tree.ColumnsBlock in brought else BASE
    rest = [
        base[item.span.start : item.span.end]
        for item in parse(Source("base", base)).items
        if type(item) not in brought
    ]
    return "\n".join([fragment, *rest]) + "\n"


@pytest.mark.parametrize(
    ("page", "fragment"),
    FRAGMENTS,
    ids=[f"{page}-{' '.join(text.split()[:2])}" for page, text in FRAGMENTS],
)
def test_each_part_of_a_spec_is_sound(page: Path, fragment: str) -> None:
    """It is part of a committed spec, or fits into the small one."""
    if any(fragment in path.read_text(encoding="utf-8") for path in SPECS.glob("*.secgen")):
        return
    text = complete(fragment)
    source = Source(str(page), text)
    try:
        resolve(parse(source), source, ROOT)
    except SecgenError as error:
        pytest.fail(f"{text}\n{error}")
