"""`secgen describe`: the protocol description for an ethics board (plain Markdown for now)."""

from pathlib import Path

import click

from secgen_dsl.cli.report import command


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Markdown file; else stdout.")
@command
def describe(spec: Path, out: Path | None) -> None:
    """Write the protocol description of SPEC (or a bundle) as Markdown."""
    from secgen_dsl.backends.bundle import write_file
    from secgen_dsl.cli.description import describe_plan
    from secgen_dsl.cli.study import plan_of
    from secgen_dsl.verifier.certify import certify

    planned = plan_of(spec)
    text = describe_plan(planned, certify(planned.plan, planned.verified, independent=True))
    if out is None:
        click.echo(text)
    else:
        write_file(out, text.encode())
        click.echo(f"description {out}")
