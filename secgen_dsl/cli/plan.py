"""`secgen plan`: queries, sensitivities, noise, share of the budget, predicted errors."""

from pathlib import Path

import click

from secgen_dsl.cli.report import Format, command, format_option, show, succeed


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="OLD",
    help="Show what changes from this spec, bundle or folder of results to SPEC.",
)
@click.option(
    "--target",
    metavar="ERROR",
    help='Show the epsilon that an accuracy needs: "error 5%", "error 12 people", '
    '"QUERY: error 5%".',
)
@format_option
@command
def plan(spec: Path, output: Format, against: Path | None, target: str | None) -> None:
    """Show how SPEC (or a bundle) spends its budget and how exact the answers will be."""
    if sum(option is not None for option in (against, target)) > 1:
        raise click.UsageError("--against and --target are two questions: ask one at a time.")
    if target is not None:
        _show_target(spec, output, target)
        return
    from secgen_dsl.cli.study import plan_of
    from secgen_dsl.cli.tables import plan_json, print_budget

    planned = plan_of(spec)
    if against is not None:
        from secgen_dsl.cli.comparison import compare_with, difference_json, print_difference

        found = compare_with(against, planned)
        if output != "full":
            succeed(output, planned.warnings, difference_json(found))
        else:
            show(planned.warnings)
            print_difference(found)
        return
    if output != "full":
        succeed(output, planned.warnings, plan_json(planned))
        return
    show(planned.warnings)
    print_budget(planned, details=True)


def _show_target(spec: Path, output: Format, text: str) -> None:
    from secgen_dsl.cli.study import program_of
    from secgen_dsl.cli.target import answer_json, print_answer, read_target
    from secgen_dsl.planner.target import answer

    target = read_target(text)
    program, warnings = program_of(spec)
    found = answer(program, target)
    if output != "full":
        succeed(output, warnings, answer_json(program, target, found))
        return
    show(warnings)
    print_answer(program, target, found)
