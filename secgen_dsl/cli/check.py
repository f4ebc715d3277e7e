"""`secgen check`: parse, type, plan, verify; no data needed."""

from pathlib import Path

import click

from secgen_dsl.cli.report import Format, command, format_option, show, succeed


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@format_option
@click.option("--certify", "independent", is_flag=True, help="Ask all accountants.")
@command
def check(spec: Path, output: Format, independent: bool) -> None:
    """Check SPEC: language, plan and privacy budget.  Needs no data."""
    from secgen_dsl.cli.study import plan_spec
    from secgen_dsl.cli.tables import plan_json, print_budget

    planned = plan_spec(spec)
    certificate = None
    if independent:
        from secgen_dsl.verifier.certify import certify

        certificate = certify(planned.plan, planned.verified, independent=True)
    if output != "full":
        data = plan_json(planned)
        if certificate is not None:
            data["certificate"] = certificate.model_dump(mode="json")
        succeed(output, planned.warnings, data)
        return
    show(planned.warnings)
    print_budget(planned, details=False)
    if certificate is not None:
        for accounting in certificate.accountings:
            click.echo(
                f"{accounting.role:<12} epsilon {accounting.epsilon} — {accounting.accountant} "
                f"({accounting.version}){'' if accounting.covers == 'plan' else ', largest group'}"
            )
    click.echo(f"{spec} is sound: the plan keeps its budget.")
