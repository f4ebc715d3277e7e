"""`secgen compile`: the bundle that sites read, verify and sign."""

from pathlib import Path

import click

from secgen_dsl.cli.report import command, show


@click.command("compile")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@command
def compile_(spec: Path, out: Path) -> None:
    """Compile SPEC into a bundle: plan, certificate, party program, manifest with hashes."""
    from secgen_dsl.backends.bundle import require_bundle_folder, write_bundle
    from secgen_dsl.cli.bundling import bundle_of
    from secgen_dsl.cli.study import plan_spec

    require_bundle_folder(out)
    planned = plan_spec(spec)
    show(planned.warnings)
    write_bundle(out, bundle_of(planned), spec.read_bytes())
    click.echo(f"plan   {planned.verified.plan_sha256}")
    click.echo(f"bundle {out}")
