"""`secgen compile`: the bundle that sites read, verify and sign."""

from pathlib import Path

import click

from secgen_dsl.cli.report import Format, command, format_option, show, succeed


@click.command("compile")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@format_option
@command
def compile_(spec: Path, out: Path, output: Format) -> None:
    """Compile SPEC into a bundle: plan, certificate, party program, manifest with hashes."""
    from secgen_dsl.backends.bundle import require_bundle_folder, write_bundle
    from secgen_dsl.cli.bundling import bundle_of
    from secgen_dsl.cli.study import plan_spec

    require_bundle_folder(out)
    planned = plan_spec(spec)
    if output == "full":
        show(planned.warnings)
    write_bundle(out, bundle_of(planned))
    digest = planned.verified.plan_sha256
    if output != "full":
        succeed(output, planned.warnings, {"plan_sha256": digest, "bundle": str(out)})
        return
    click.echo(f"plan   {digest}")
    click.echo(f"bundle {out}")
