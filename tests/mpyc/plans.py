"""Hand-built plans and tables for the tests of the MPyC backend."""

import csv
import random
from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path

from secgen_dsl.ir.plan import MERSENNE_61, GaussianNoise, LinearMap, Opening, Plan, Release, Round
from secgen_dsl.ir.program import (
    Audience,
    CategoryColumn,
    Panel,
    Person,
    Privacy,
    Program,
    Silo,
    Terms,
)
from secgen_dsl.ir.queries import Importance, Marginal

PLAIN = Importance(weight=Fraction(1), share=None, error=None)
SUBTYPES = ("CIN", "GS", "MSI", "unknown")


def program(
    silos: Sequence[str] = ("europe", "northeast", "south"),
    helpers: Sequence[str] = (),
    tolerated: int = 1,
    genes: int = 6,
    bins: int = 4,
) -> Program:
    symbols = tuple(f"GENE{index}" for index in range(genes))
    edges = tuple(tuple(Fraction(16 * b, bins) for b in range(1, bins)) for _ in symbols)
    return Program(
        format="secgen.program/3",
        silos=tuple(
            Silo(name=name, terms=Terms(kind="open", reference="", approval="")) for name in silos
        ),
        helpers=tuple(helpers),
        tolerated=tolerated,
        person=Person(key="patient", samples=1, per=None, keep=None, silos=1, people_bound=None),
        columns=(
            CategoryColumn(kind="category", name="subtype", values=SUBTYPES, otherwise="unknown"),
        ),
        references=(),
        bridges=(),
        sets=(),
        panels=(
            Panel(
                name="cycle",
                unit="log2",
                counts=None,
                low=Fraction(0),
                high=Fraction(16),
                missing=None,
                genes=symbols,
                list_sha256="",
            ),
        ),
        privacy=Privacy(
            adjacency="add-or-remove",
            epsilon=Fraction(4),
            delta=Fraction(1, 100_000),
            mechanism="gaussian",
        ),
        expectations=(),
        queries=(
            Marginal(
                kind="marginal",
                id="subtype*cycle",
                statement=f"marginal subtype * cycle in {bins} equal bins",
                columns=("subtype",),
                panel="cycle",
                gene=None,
                bins=bins,
                binning="equal",
                reference="",
                edges=edges,
                learned=None,
                importance=PLAIN,
            ),
        ),
        samples=None,
        measurements=Audience(kind="silos", name=""),
    )


def label_histogram(name: str = "subtype") -> Marginal:
    return Marginal(
        kind="marginal",
        id=name,
        statement="marginal subtype",
        columns=("subtype",),
        panel=None,
        gene=None,
        bins=1,
        binning="none",
        reference="",
        edges=(),
        learned=None,
        importance=PLAIN,
    )


def release(one: Program, marginal: Marginal, linear_map: LinearMap, share: Fraction) -> Release:
    """A release that spends ``share`` of μ² = 21/25 (ε = 4, δ = 1e-5 allow .855)."""
    tables, labels, bins = one.shape(marginal)
    honest = len(one.parties) - one.tolerated
    squared = Fraction(tables) * (1 if linear_map == "identity" else 1 - Fraction(1, bins))
    floor = Fraction(4) if linear_map == "identity" else Fraction(9 * bins, 2)
    party_variance = max(Fraction(ceil(squared / (Fraction(21, 25) * share) / honest)), floor)
    return Release(
        query=marginal.id,
        map=linear_map,
        tables=tables,
        raw_cells=tables * labels * bins,
        halved=0,
        opened=tables * labels * (bins if linear_map == "identity" else bins - 1),
        noise=GaussianNoise(
            kind="gaussian",
            sensitivity_squared=squared,
            variance=party_variance * honest,
            party_variance=party_variance,
        ),
    )


def plan_of(one: Program, rounds: Sequence[Sequence[tuple[Marginal, LinearMap]]]) -> Plan:
    """A plan with these releases; marginals that the program lacks are added ones."""
    share = Fraction(1, sum(len(releases) for releases in rounds))
    built = tuple(
        Round(
            number=number,
            delay=0 if number == 1 else 1,
            releases=tuple(release(one, marginal, kind, share) for marginal, kind in releases),
        )
        for number, releases in enumerate(rounds, start=1)
    )
    added = tuple(
        marginal for releases in rounds for marginal, _ in releases if marginal not in one.queries
    )
    return Plan(
        format="secgen.plan/3",
        program=one,
        added=added,
        parties=one.parties,
        threshold=one.tolerated,
        modulus=MERSENNE_61,
        rounds=built,
        openings=tuple(
            Opening(
                round=one_round.number,
                query=one_release.query,
                values=one_release.opened,
                recipients="parties",
            )
            for one_round in built
            for one_release in one_round.releases
        ),
    )


def plan_three() -> Plan:
    """m = 3, t = 1, one round: centred gene tables and a label histogram."""
    one = program()
    return plan_of(one, [[(one.queries[0], "centred"), (label_histogram(), "identity")]])


def plan_five() -> Plan:
    """m = 5, t = 2, of which one helper; two rounds."""
    one = program(("a", "b", "c", "d"), ("helper",), tolerated=2)
    return plan_of(one, [[(label_histogram(), "identity")], [(one.queries[0], "identity")]])


def plan_three_in_two_rounds() -> Plan:
    """m = 3, t = 1, with a round for each marginal."""
    one = program()
    return plan_of(one, [[(label_histogram(), "identity")], [(one.queries[0], "centred")]])


LINES = {"subtype*cycle": "colorectal.secgen:47", "subtype": "colorectal.secgen:47"}


def write_table(path: Path, one: Program, people: int, seed: int) -> Path:
    """A silo's table of invented people, with missing and odd values among them."""
    draw = random.Random(seed)  # noqa: S311 (invented people)
    genes = one.panels[0].genes
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "subtype", *genes])
        for person in range(people):
            values = [f"{draw.uniform(-1, 18):.3f}" for _ in genes]
            if person % 5 == 0:
                values[person % len(genes)] = draw.choice(["", "NaN", "inf", "abc"])
            label = draw.choice([*SUBTYPES, "HM-SNV", ""])
            writer.writerow([f"p{person}", label, *values])
    return path
