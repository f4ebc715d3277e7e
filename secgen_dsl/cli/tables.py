"""The tables that `check` and `plan` print, and their JSON."""

from fractions import Fraction

from secgen_dsl.backends.mpyc.cost import predicted_bytes, predicted_rounds
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.planner.predict import Prediction, predict


def plan_json(planned: PlannedStudy) -> dict[str, object]:
    """A plan's figures as JSON data: what `check --json` and `plan --json` print."""
    plan = planned.plan
    privacy = plan.program.privacy
    return {
        "plan_sha256": planned.verified.plan_sha256,
        "program_sha256": sha256_of(plan.program),
        "study_sha256": sha256_of(planned.study),
        "budget": {
            "adjacency": privacy.adjacency,
            "epsilon": decimal_text(privacy.epsilon),
            "delta": decimal_text(privacy.delta),
            "certified_epsilon": planned.verified.epsilon,
            "mu": float(planned.verified.mu_squared) ** 0.5,
        },
        "parties": list(plan.parties),
        "tolerated_colluding": plan.threshold,
        "rounds_of_messages": predicted_rounds(plan),
        "bytes_sent_by_each_party": predicted_bytes(plan),
        "defaults": list(planned.defaults),
        "queries": [_prediction_json(planned, prediction) for prediction in predict(plan)],
    }


def _prediction_json(planned: PlannedStudy, prediction: Prediction) -> dict[str, object]:
    release = prediction.release
    return {
        "id": prediction.marginal.id,
        "statement": prediction.marginal.statement,
        "source": planned.sources.get(prediction.marginal.id, ""),
        "added_by_the_planner": not prediction.asked,
        "measured_as": release.map,
        "tables": release.tables,
        "cells": prediction.cells,
        "opened_values": release.opened,
        "sensitivity_squared": str(release.sensitivity_squared),
        "variance": str(release.variance),
        "party_variance": str(release.party_variance),
        "share_of_budget": prediction.budget_share,
        "standard_error_people": prediction.standard_error,
        "relative_error": prediction.relative_error,
        "bytes_sent_by_each_party": 16 * release.opened * (len(planned.plan.parties) - 1),
    }


def print_budget(planned: PlannedStudy, *, details: bool) -> None:
    """The budget table on stdout; ``details`` adds noise, cells and bytes."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=max(110 if details else 80, Console().width))
    plan = planned.plan
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("marginal", overflow="fold")
    table.add_column("measured as")
    if details:
        for heading in ("tables", "cells", "Δ²", "σ certified", "σ released", "bytes"):
            table.add_column(heading, justify="right")
    table.add_column("share of budget", justify="right")
    table.add_column("error of a cell", justify="right")
    for prediction in predict(plan):
        error = f"±{_short(prediction.standard_error)} people"
        if prediction.relative_error is not None:
            error += f" ({100 * prediction.relative_error:.1f}%)"
        name = prediction.marginal.id + ("" if prediction.asked else "  (added: labels)")
        row = [name, "centred tables" if prediction.release.map == "centred" else "plain tables"]
        if details:
            release = prediction.release
            row += [
                f"{release.tables:,}",
                f"{prediction.cells:,}",
                decimal_text(Fraction(release.sensitivity_squared)),
                _short(prediction.certified_sigma),
                _short(prediction.released_sigma),
                f"{16 * release.opened * (len(plan.parties) - 1):,}",
            ]
        row += [f"{100 * prediction.budget_share:.1f}%", error]
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    privacy = plan.program.privacy
    people = plan.program.person.people_bound
    of = (
        f"% of {people:,} people ÷ label cells"
        if people
        else "no bound on people is stated, so no percentages"
    )
    console.print(
        Text(
            f"budget       epsilon {decimal_text(privacy.epsilon)}, "
            f"delta {decimal_text(privacy.delta)}, add or remove one person\n"
            f"certified    epsilon {planned.verified.epsilon:.6g}, "
            f"mu {float(planned.verified.mu_squared) ** 0.5:.4f} "
            f"against any {plan.threshold} of {len(plan.parties)} parties\n"
            f"error        one standard error of a released cell ({of})\n"
            f"messages     {predicted_rounds(plan)} rounds, "
            f"{predicted_bytes(plan):,} bytes sent by each party\n"
            f"plan         {planned.verified.plan_sha256}"
        )
    )
    if planned.defaults:
        console.print(Text("filled in    " + "; ".join(planned.defaults)))


def _short(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"
