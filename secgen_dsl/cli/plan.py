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
    '"QUERY: error 5%"; or "least error": what all queries reach with the epsilon of SPEC.',
)
@click.option(
    "--curve",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the errors at other values of epsilon: .svg, .png or .json.",
)
@format_option
@command
def plan(
    spec: Path, output: Format, against: Path | None, target: str | None, curve: Path | None
) -> None:
    """Show how SPEC (or a bundle) spends its budget and how exact the answers will be."""
    if sum(option is not None for option in (against, target, curve)) > 1:
        raise click.UsageError("--against, --target and --curve exclude each other.")
    if target is not None:
        _show_target(spec, output, target)
        return
    if curve is not None:
        _write_curve(spec, output, curve)
        return
    from secgen_dsl.cli.study import plan_of
    from secgen_dsl.cli.tables import plan_json, print_budget

    planned = plan_of(spec)
    if against is not None:
        from secgen_dsl.cli.comparison import difference_json, print_difference, sides_with
        from secgen_dsl.describe.difference import difference

        found = difference(sides_with(against, planned))
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
    from secgen_dsl.cli.target import (
        answer_json,
        common_json,
        least_unit,
        print_answer,
        print_common,
        read_target,
    )
    from secgen_dsl.planner.target import answer, least_common

    unit = least_unit(text)
    if unit is not None:
        program, _, warnings = program_of(spec)
        common = least_common(program, unit)
        if output != "full":
            succeed(output, warnings, common_json(program, common))
            return
        show(warnings)
        print_common(program, common)
        return
    target = read_target(text)
    program, _, warnings = program_of(spec)
    found = answer(program, target)
    if output != "full":
        succeed(output, warnings, answer_json(program, target, found))
        return
    show(warnings)
    print_answer(program, target, found)


def _write_curve(spec: Path, output: Format, file: Path) -> None:
    from secgen_dsl.cli.curve import check_suffix, write_curve
    from secgen_dsl.cli.study import program_of
    from secgen_dsl.ir.program import decimal_text

    check_suffix(file)  # before anything is computed
    program, title, warnings = program_of(spec)
    points = write_curve(program, title, file)
    if output != "full":
        succeed(output, warnings, {"file": str(file), "points": len(points)})
        return
    show(warnings)
    planned = sum(1 for point in points if point.refused is None)
    low, high = (decimal_text(points[end].epsilon) for end in (0, -1))
    missing = f", {len(points) - planned} without a plan" if planned < len(points) else ""
    click.echo(f"{file}: errors at {len(points)} values of epsilon, {low} to {high}{missing}")
