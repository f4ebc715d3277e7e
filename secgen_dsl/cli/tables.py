"""The tables that `check` and `plan` print, and their JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from math import sqrt
from types import MappingProxyType

import click

from secgen_dsl.backends.mpyc.cost import (
    predicted_bytes,
    predicted_rounds,
    release_bytes,
    release_rounds,
)
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.guarantees import (
    CERTIFIED_NOTE,
    ESTIMATE_NOTE,
    guarantee_rows,
    has_estimates,
)
from secgen_dsl.describe.measured import content_of_sum, error_words, sensitivity_words, short
from secgen_dsl.describe.odds import odds_of
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import LaplaceNoise, LinearMap, Noise, Plan
from secgen_dsl.ir.program import Program, decimal_text
from secgen_dsl.ir.queries import Marginal, Moments, SecondMoment, VectorSum
from secgen_dsl.planner.fit_time import ColumnModel, PairModel, column_model, pair_model
from secgen_dsl.planner.mechanism import more_exact
from secgen_dsl.planner.predict import Prediction, predict
from secgen_dsl.planner.reference_gain import gene_mean_errors
from secgen_dsl.privacy.accountants import certified_epsilons
from secgen_dsl.privacy.bound import Case, compose
from secgen_dsl.privacy.guarantees import guarantees
from secgen_dsl.privacy.rounding import six_digits_up, three_digits_up

_MOST_NAMES = 3

_MEASURED_AS: Mapping[LinearMap, str] = MappingProxyType(
    {
        "identity": "plain tables",
        "centred": "centred tables",
        "double-centred": "double-centred tables",
    }
)


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
            "mechanism": privacy.mechanism,
            "more_exact_mechanism": _other_json(plan),
            "accountant": _accountant(planned),
            "certified_epsilon": planned.verified.epsilon,
            "mu": float(planned.verified.composition.mu_squared) ** 0.5,
        },
        "guarantees": [one.model_dump(mode="json") for one in guarantees(plan)],
        "parties": list(plan.parties),
        "tolerated_colluding": plan.threshold,
        "rounds_of_messages": predicted_rounds(plan),
        "bytes_sent_by_each_party": predicted_bytes(plan),
        "column_model": _model_json(column_model(plan.program)),
        "pair_model": _model_json(pair_model(plan.program)),
        "defaults": list(planned.defaults),
        "labelled": list(planned.labelled),
        "queries": [_prediction_json(planned, prediction) for prediction in predict(plan)],
    }


def added_words(prediction: Prediction) -> str:
    """Why the planner added a query; nothing if the spec asks for it."""
    if prediction.asked:
        return ""
    return "  (added: labels)" if isinstance(prediction.query, Marginal) else "  (added)"


def measured_words(prediction: Prediction) -> str:
    """How a query is measured, in two words."""
    if isinstance(prediction.query, VectorSum | SecondMoment):
        return "clipped sums"
    return _MEASURED_AS[prediction.release.map]


def _prediction_json(planned: PlannedStudy, prediction: Prediction) -> dict[str, object]:
    release = prediction.release
    vector = content_of_sum(prediction.query) != ""
    return {
        "id": prediction.query.id,
        "statement": prediction.query.statement,
        "source": planned.sources.get(prediction.query.id, ""),
        "added_by_the_planner": not prediction.asked,
        "measured_as": release.map,
        "tables": release.tables,
        "cells": prediction.cells,
        "opened_values": release.opened,
        **_noise_json(release.noise),
        "share_of_budget": prediction.budget_share,
        "standard_error_people": None if vector else prediction.standard_error,
        "standard_error_of_a_sum": prediction.standard_error if vector else None,
        "standard_error_of_a_mean": prediction.mean_error,
        "relative_error": prediction.relative_error,
        "expected": [
            {"label": cell.label, "people": cell.people, "relative_error": cell.relative_error}
            for cell in prediction.expected
        ],
        "rounds": list(release_rounds(planned.plan, release)),
        "bytes_sent_by_each_party": release_bytes(planned.plan, release),
    }


def _model_json(model: ColumnModel | PairModel | None) -> dict[str, object] | None:
    return None if model is None else asdict(model)


def _noise_json(noise: Noise) -> dict[str, object]:
    if isinstance(noise, LaplaceNoise):
        return {
            "sensitivity": noise.sensitivity,
            "scale": str(noise.scale),
            "parts": noise.parts,
        }
    return {
        "sensitivity_squared": str(noise.sensitivity_squared),
        "variance": str(noise.variance),
        "party_variance": str(noise.party_variance),
    }


def _accountant(planned: PlannedStudy) -> str:
    if planned.plan.program.privacy.mechanism == "laplace":
        return "sum"
    return "renyi" if planned.verified.composition.events is None else "pld"


def _other_json(plan: Plan) -> dict[str, object] | None:
    other = more_exact(plan)
    if other is None:
        return None
    return {
        "mechanism": other.mechanism,
        "standard_error_people": {name: error for name, (_, error) in other.errors.items()},
    }


def other_mechanism_lines(plan: Plan) -> list[str]:
    """A note if the other kind of noise would be more exact; nothing if not."""
    other = more_exact(plan)
    if other is None:
        return []
    most = sorted(other.errors.items(), key=lambda item: item[1][1] / item[1][0])[:_MOST_NAMES]
    listed = ", ".join(
        f"±{short(theirs)} people on a cell of {name}, not ±{short(ours)}"
        for name, (ours, theirs) in most
    )
    more = len(other.errors) - len(most)
    lines = [
        f"note         {other.mechanism.capitalize()} noise would be more exact: {listed}"
        + (f" and {more:,} more" if more else "")
        + f"; write: mechanism {other.mechanism}"
    ]
    if other.mechanism == "laplace":
        ours, theirs = (_accuracy(one) for one in (plan, other.plan))
        lines.append(
            f"             its price: the best guess whether a person took part is right {theirs} "
            f"of the time, not {ours}; if all other parties collude, epsilon is "
            f"{_floor(other.plan)}, not {_floor(plan)}"
        )
    return lines


def _floor(plan: Plan) -> str:
    case = Case(plan.program.privacy.adjacency, against="all-others")
    deltas = (plan.program.privacy.delta,)
    (found,) = certified_epsilons(compose(plan, case), deltas) or (None,)
    return "unknown" if found is None else three_digits_up(six_digits_up(found))


def _accuracy(plan: Plan) -> str:
    return odds_of(compose(plan)).accuracy


def print_budget(planned: PlannedStudy, *, details: bool) -> None:
    """The budget table on stdout; ``details`` adds noise, cells and bytes."""
    plan = planned.plan
    headings = ["marginal", "measured as", "share of budget", "error of a cell"]
    laplace = plan.program.privacy.mechanism == "laplace"
    if details:
        sensitivity = ["Δ₁", "scale"] if laplace else ["Δ²"]
        headings[2:2] = ["tables", "cells", *sensitivity, "σ certified", "σ released", "bytes"]
    rows = [headings]
    for prediction in predict(plan):
        name = prediction.query.id + added_words(prediction)
        row = [name, measured_words(prediction)]
        if details:
            release = prediction.release
            row += [
                f"{release.tables:,}",
                f"{prediction.cells:,}",
                *_sensitivity(prediction),
                short(prediction.certified_sigma),
                short(prediction.released_sigma),
                f"{release_bytes(plan, release):,}",
            ]
        rows.append([*row, f"{100 * prediction.budget_share:.1f}%", error_words(prediction)])
    click.echo(aligned(rows))
    privacy = plan.program.privacy
    people = plan.program.person.people_bound
    of = (
        f"% of {people:,} people ÷ label cells"
        if people
        else "no bound on people is stated, so no percentages"
    )
    lines = [
        f"budget       epsilon {decimal_text(privacy.epsilon)}, "
        f"delta {decimal_text(privacy.delta)}, {adjacency_words(plan.program)}",
        f"certified    epsilon {six_digits_up(planned.verified.epsilon)}, "
        + ("an exact sum, " if laplace else f"mu {_mu(planned):.4f} ")
        + f"against any {plan.threshold} of {len(plan.parties)} parties",
        f"error        one standard error of a released cell ({of})",
        *_sums_lines(plan),
        f"messages     {predicted_rounds(plan)} rounds, "
        f"{predicted_bytes(plan):,} bytes sent by each party",
        *_column_lines(plan.program),
        *_pair_lines(plan.program),
        f"plan         {planned.verified.plan_sha256}",
    ]
    lines += other_mechanism_lines(plan) + contribution_lines(plan.program)
    for prediction in predict(plan):
        lines += [
            f"expected     {cell.label} in {prediction.query.id}: {cell.people:,.0f} people, "
            f"a cell's error is {100 * cell.relative_error:.1f}% of them"
            for cell in prediction.expected
        ]
    lines += [f"public       {words}" for words in planned.labelled]
    if planned.defaults:
        lines.append("filled in    " + "; ".join(planned.defaults))
    click.echo("\n".join(lines))
    if details:
        found = guarantees(plan)
        click.echo(aligned(guarantee_rows(plan, found)))
        click.echo(CERTIFIED_NOTE)
        if has_estimates(found):
            click.echo(ESTIMATE_NOTE)


def _column_lines(program: Program) -> list[str]:
    """The largest joint table where marginals close a loop, and the time of the fit if that counts.

    Elsewhere every joint table is that of a marginal.
    """
    model = column_model(program)
    if model is None or not (model.triangulated or model.seconds >= 1):
        return []
    seconds = "less than a second" if model.seconds < 1 else f"about {model.seconds:.2g} seconds"
    why = "columns form a loop: the" if model.triangulated else "the"
    return [
        f"samples      {why} largest joint table is {' × '.join(model.largest)} with "
        f"{model.cells:,} cells; predicted fit: {seconds}"
    ]


def _pair_lines(program: Program) -> list[str]:
    """The time of the fit of pairs of genes, if that counts."""
    model = pair_model(program)
    if model is None or model.seconds < 1:
        return []
    where = f" in each of {model.label_cells:,} label cells" if model.label_cells > 1 else ""
    return [
        f"samples      correlations of {model.pairs:,} pairs{where}; "
        f"predicted fit: about {model.seconds:.2g} seconds"
    ]


def _sums_lines(plan: Plan) -> list[str]:
    """How to read the errors of vectors; nothing where there is none."""
    if not any(isinstance(query, VectorSum | SecondMoment) for query in plan.added):
        return []
    people = plan.program.person.people_bound
    over = f"a mean over {people:,} people ÷ label cells" if people else "a sum over all people"
    lines = [f"             of clipped sums: of {over}; sd: one of the gene's public scale"]
    learning = [q for q in plan.program.queries if isinstance(q, Moments) and q.learns_scale]
    if learning:
        lines[0] += ", or of the learned one"
    for query in learning:
        lines.append(f"reference    {query.id} has none: a first round learns where genes lie")
        errors = gene_mean_errors(plan, query)
        if errors is not None and errors[1] < errors[0]:
            now, then = (f"±{short(error)}" for error in errors)
            lines.append(
                f"             about {now} of a gene's spread is the error of its mean, "
                f"with a public table {then}"
            )
    return lines


def _sensitivity(prediction: Prediction) -> list[str]:
    noise = prediction.release.noise
    scale = [decimal_text(noise.scale)] if isinstance(noise, LaplaceNoise) else []
    return [sensitivity_words(prediction), *scale]


def _mu(planned: PlannedStudy) -> float:
    return sqrt(planned.verified.composition.mu_squared)


def adjacency_words(program: Program) -> str:
    """What two neighbouring inputs differ by, in the language's words."""
    if program.privacy.adjacency == "add-or-remove":
        return "add or remove one person"
    return f"replace one person of exactly {program.person.people_bound}"


def contribution_lines(program: Program) -> list[str]:
    """What several samples or silos a person cost, in words; nothing where one sample counts."""
    person = program.person
    several = person.samples * person.silos
    if person.per is None:
        if several == 1:
            return []
        price = f"{several} times the noise of one sample in one silo, for the same epsilon"
    else:
        values = len(program.column(person.per).values)
        # What falls into different cells adds up in squares, with Laplace noise as it is.
        laplace = program.privacy.mechanism == "laplace"
        root = f"{several * (values if laplace else values**0.5):.3g}"
        price = f"with {person.per} {root} times the noise of one sample, for the same epsilon"
        if any(person.per not in query.columns for query in program.queries):
            price += f"; without it {several * values} times"
    samples = "sample" if person.samples == 1 else "samples"
    per = f" per {person.per}" if person.per is not None else ""
    silos = "silo" if person.silos == 1 else "silos"
    return [
        f"one person   at most {person.samples} {samples}{per} at each of {person.silos} {silos}: "
        + price
    ]


def aligned(rows: list[list[str]], headings: int = 1) -> str:
    """Columns two spaces apart, the first two to the left; a rule under the rows of headings."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if k < 2 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join(["", *lines[:headings], rule, *lines[headings:], ""])
