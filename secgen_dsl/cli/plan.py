"""`secgen plan`: queries, sensitivities, noise, share of the budget, predicted errors."""

from pathlib import Path

import click

from secgen_dsl.cli.report import as_json as diagnostics_json
from secgen_dsl.cli.report import command, print_json, show


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="OLD",
    help="Show what changes from this spec or bundle to SPEC.",
)
@command
def plan(spec: Path, as_json: bool, against: Path | None) -> None:
    """Show how SPEC (or a bundle) spends its budget and how exact the answers will be."""
    from secgen_dsl.cli.study import plan_of
    from secgen_dsl.cli.tables import plan_json, print_budget

    planned = plan_of(spec)
    if against is not None:
        from secgen_dsl.cli.comparison import compare, difference_json, print_difference

        found = compare(plan_of(against), planned)
        if as_json:
            print_json(
                {"ok": True, "diagnostics": diagnostics_json(planned.warnings)}
                | difference_json(found)
            )
        else:
            show(planned.warnings)
            print_difference(found)
        return
    if as_json:
        print_json(
            {"ok": True, "diagnostics": diagnostics_json(planned.warnings)} | plan_json(planned)
        )
        return
    show(planned.warnings)
    print_budget(planned, details=True)
