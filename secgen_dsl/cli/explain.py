"""`secgen explain`: the page of a diagnostic's code."""

import shutil
import sys
import textwrap
from collections.abc import Iterator

import click

from secgen_dsl.cli.report import coloured, command, print_json
from secgen_dsl.diagnostics.codes import TITLES
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, nearest
from secgen_dsl.diagnostics.pages import HEADINGS, Page, page_of

_WIDEST = 100


@click.command()
@click.argument("codes", nargs=-1, metavar="CODE...")
@click.option("--list", "listed", is_flag=True, help="List all codes with their titles.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@command
def explain(codes: tuple[str, ...], listed: bool, as_json: bool) -> None:
    """Explain the CODE of a diagnostic: what it does, why it matters, an example, what to use."""
    if listed == bool(codes):
        raise click.UsageError("Give one or more codes, or --list.")
    if listed:
        if as_json:
            print_json({"ok": True, "codes": dict(TITLES)})
        else:
            click.echo("\n".join(f"{code}  {title}" for code, title in TITLES.items()))
        return
    asked = tuple(dict.fromkeys(code.upper() for code in codes))
    unknown = [_unknown(code) for code in asked if code not in TITLES]
    if unknown:
        raise SecgenError(unknown)
    pages = [page_of(code) for code in asked]
    if as_json:
        data = [{"code": p.code, "title": p.title, "sections": p.sections} for p in pages]
        print_json({"ok": True, "pages": data})
        return
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    text = "\n\n".join("\n".join(_lines(page, width)) for page in pages)
    click.echo(text, color=coloured(sys.stdout))


def _unknown(code: str) -> Diagnostic:
    return Diagnostic(
        "SG903",
        f'there is no code "{code}"',
        place="explain",
        next_step=nearest(code, TITLES) or "list all codes: secgen explain --list",
    )


def _lines(page: Page, width: int) -> Iterator[str]:
    """The page as plain text: paragraphs are wrapped, blocks are shown as they are."""
    yield click.style(f"{page.code}  {page.title}", bold=True)
    for heading in HEADINGS:
        yield ""
        yield click.style(heading, bold=True)
        for position, part in enumerate(page.parts(heading)):
            if position:
                yield ""
            if part.kind != "prose":
                if part.name:
                    yield f"    {part.name}"
                yield textwrap.indent(part.text.rstrip("\n"), "    ")
                continue
            for line in textwrap.wrap(part.text, max(width - 2, 20), break_on_hyphens=False):
                yield f"  {line}"
