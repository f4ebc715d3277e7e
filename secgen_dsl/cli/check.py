"""`secgen check`: parse, type, plan, verify; no data needed."""

from pathlib import Path

import click

from secgen_dsl.cli.report import as_json as diagnostics_json
from secgen_dsl.cli.report import command, print_json, show


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--certify", "independent", is_flag=True, help="Ask the second accountant too.")
@command
def check(spec: Path, as_json: bool, independent: bool) -> None:
    """Check SPEC: language, plan and privacy budget.  Needs no data."""
    from secgen_dsl.cli.study import plan_spec
    from secgen_dsl.cli.tables import plan_json, print_budget

    planned = plan_spec(spec)
    certificate = None
    if independent:
        from secgen_dsl.verifier.certify import certify

        certificate = certify(planned.plan, planned.verified, independent=True)
    if as_json:
        data: dict[str, object] = {"ok": True, "diagnostics": diagnostics_json(planned.warnings)}
        data |= plan_json(planned)
        if certificate is not None:
            data["certificate"] = certificate.model_dump(mode="json")
        print_json(data)
        return
    show(planned.warnings)
    print_budget(planned, details=False)
    if certificate is not None:
        for accounting in certificate.accountings:
            click.echo(
                f"accountant   epsilon {accounting.epsilon} — {accounting.accountant} "
                f"({accounting.version})"
            )
    click.echo(f"{spec} is sound: the plan keeps its budget.")
