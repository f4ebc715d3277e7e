"""`secgen describe`: the protocol description for an ethics board (plain Markdown for now)."""

from pathlib import Path

import click

from secgen_dsl.cli.report import Format, command, format_option, show, succeed
from secgen_dsl.diagnostics.diagnostic import printable_lines


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Markdown file; else stdout.")
@format_option
@command
def describe(spec: Path, out: Path | None, output: Format) -> None:
    """Write the protocol description of SPEC (or a bundle) as Markdown."""
    from secgen_dsl.backends.bundle import write_file
    from secgen_dsl.cli.description import describe_plan
    from secgen_dsl.cli.study import plan_of
    from secgen_dsl.verifier.certify import certify

    planned = plan_of(spec)
    certificate = certify(planned.plan, planned.verified, independent=True)
    text = describe_plan(planned.plan, planned.study, certificate, planned.sources)
    if out is not None:
        write_file(out, text.encode())
    if output != "full":
        data: dict[str, object] = {"plan_sha256": planned.verified.plan_sha256}
        data |= {"description": text} if out is None else {"written": [str(out)]}
        succeed(output, planned.warnings, data)
        return
    show(planned.warnings)
    click.echo(printable_lines(text) if out is None else f"description {out}")
