"""`secgen evaluate`: how good synthetic rows are, for whoever holds the real ones."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import Format, command, format_option, show, succeed

if TYPE_CHECKING:
    from secgen_dsl.evaluation.evaluate import Evaluation

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("synthetic", type=_PATH, metavar="RUN|TABLE")
@click.option(
    "--real",
    type=_PATH,
    multiple=True,
    metavar="FILE",
    help="Real rows that the synthetic ones were made from; may be repeated.",
)
@click.option(
    "--site",
    type=_PATH,
    multiple=True,
    metavar="FILE",
    help="The same as --real, by a site.toml that says how its files are read.",
)
@click.option(
    "--holdout",
    type=_PATH,
    multiple=True,
    metavar="FILE",
    help="Real rows, or a site.toml, that nothing was made from.",
)
@click.option("--reference", type=_PATH, metavar="FILE", help="Public rows, known to attackers.")
@click.option("--label", metavar="COLUMN", help="Whose values are the classes.")
@click.option("--sets", type=_PATH, metavar="FILE", help="Gene sets to score, in GMT.")
@click.option(
    "--unprotected",
    type=_PATH,
    metavar="RUN|TABLE",
    help="Rows made from the same real rows without noise: attacks that fail there do not count.",
)
@click.option("-o", "--out", type=_PATH, metavar="DIR", help="Write evaluation.html and .json.")
@format_option
@command
def evaluate(
    synthetic: Path,
    real: tuple[Path, ...],
    site: tuple[Path, ...],
    holdout: tuple[Path, ...],
    reference: Path | None,
    label: str | None,
    sets: Path | None,
    unprotected: Path | None,
    out: Path | None,
    output: Format,
) -> None:
    """Compare synthetic rows with the real ones: use, fidelity, biology, attacks, each class.

    RUN is a results' folder; real files are then read as its plan says.  TABLE is any table of
    synthetic rows: genes are the columns of numbers that all tables have.  What is found is
    computed on private data, outside the privacy budget: it is not for release.
    """
    if not (real or site):
        raise click.UsageError("Real rows are needed: add --real FILE.")
    from secgen_dsl.cli.evaluating import Given, read_tables
    from secgen_dsl.evaluation.evaluate import evaluate as evaluate_tables
    from secgen_dsl.evaluation.results import PRIVATE, as_json

    if out is not None:
        from secgen_dsl.backends.bundle import require_writable

        require_writable(out)
    given = Given(synthetic, (*real, *site), holdout, reference, unprotected, label, sets)
    tables, column = read_tables(given)
    found = evaluate_tables(tables)
    data = {"label": column, **as_json(found)}
    written = []
    if out is not None:
        from secgen_dsl.backends.bundle import write_file
        from secgen_dsl.evaluation.report.page import render_page

        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        files = {"evaluation.html": render_page(found, column), "evaluation.json": text}
        for name, content in files.items():
            write_file(out / name, content.encode())
            written.append(str(out / name))
    if output != "full":
        succeed(output, found.warnings, {"evaluation": data, "written": written})
        return
    show(found.warnings)
    click.echo("\n".join([PRIVATE, "", *_lines(found)]))
    for path in written:
        click.echo(f"written  {path}")


def _lines(found: "Evaluation") -> list[str]:
    from secgen_dsl.evaluation.report.words import headline

    lines = headline(found)
    width = max(len(name) for name, _ in lines)
    return [f"{name:<{width}}  {value}" for name, value in lines]
