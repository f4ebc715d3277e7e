"""The readable table of opened values says what each value is."""

import csv
from pathlib import Path

import numpy as np

from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.ir.plan import Measurement, Measurements
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.synthesis.measured_table import HEADER, write_measured_table

from .studies import People, gene_pairs, marginal, measure, number, panel, plan_of, program


def test_without_noise_the_table_holds_the_counts(colorectal: PlannedStudy, tmp_path: Path) -> None:
    plan, program = colorectal.plan, colorectal.plan.program
    tables = read_tables(
        program, colorectal.simulate, dict.fromkeys(colorectal.simulate, b"k" * 32)
    )
    counts = {
        r.query: sum(raw_cells(program, plan.query(r.query), t) for t in tables.values())
        for r in plan.releases()
    }
    template = run_plaintext(plan, tables)
    exact = Measurements(
        format="secgen.measurements/2",
        plan_sha256=template.plan_sha256,
        measurements=tuple(
            Measurement(
                query=r.query,
                values=tuple(apply_map(r.map, counts[r.query]).tolist()),
            )
            for r in plan.releases()
        ),
    )
    path = tmp_path / "measurements.csv"
    write_measured_table(path, plan, exact)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HEADER
    assert len(rows) == sum(r.raw_cells for r in plan.releases())

    by_marginal: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_marginal.setdefault(row["marginal"], []).append(row)
    assert [r["labels"] for r in by_marginal["subtype"]] == [
        "subtype=CIN", "subtype=GS", "subtype=MSI", "subtype=unknown",
    ]  # fmt: skip
    assert by_marginal["sex*subtype"][1]["labels"] == "sex=female; subtype=GS"
    for release in plan.releases():
        cells = counts[release.query].astype(float)
        if release.map == "centred":
            cells = cells - cells.mean(axis=2, keepdims=True)
        shown = np.array([float(r["value"]) for r in by_marginal[release.query]])
        np.testing.assert_allclose(shown, cells.ravel(), atol=1e-4)
    repair = by_marginal["subtype*repair"]
    assert (repair[0]["gene"], repair[0]["from"], repair[0]["to"]) == ("MLH1", "0", "2")
    assert (repair[-1]["gene"], repair[-1]["from"], repair[-1]["to"]) == ("EPCAM", "18", "20")


def test_pairs_and_numbers_are_named_in_words(tmp_path: Path) -> None:
    query = gene_pairs("p", ["A", "B"], [(0, 1)], [[5, 10], [6, 12.5]])
    spec = program(
        [number("age", "18", "100", ["50"])], [marginal(["age"]), query], [panel("p", ["A", "B"])]
    )
    plan = plan_of(spec, [9, 16])
    people = People(
        {"age": np.array([0, 1, 1])},
        {"A": np.array([1.0, 5.0, 11.0]), "B": np.array([1.0, 13.0, 6.0])},
    )
    path = tmp_path / "measurements.csv"
    write_measured_table(path, plan, measure(plan, people, None))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["labels"], r["value"]) for r in rows[:2]] == [
        ("age=[18, 50)", "1"),
        ("age=[50, 100]", "2"),
    ]
    pairs = rows[2:]
    assert {r["gene"] for r in pairs} == {"A × B"}
    assert {r["noise_sd"] for r in pairs} == {"4.0000"}
    counted = [(r["labels"], r["from"], r["to"]) for r in pairs if r["value"] == "1"]
    assert counted == [
        ("A=[0, 5)", "0", "6"),
        ("A=[5, 10)", "12.5", "20"),
        ("A=[10, 20]", "6", "12.5"),
    ]
    assert len(pairs) == 9
