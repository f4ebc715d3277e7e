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


def test_without_noise_the_table_holds_the_counts(colorectal: PlannedStudy, tmp_path: Path) -> None:
    plan, program = colorectal.plan, colorectal.plan.program
    tables = read_tables(
        program, colorectal.simulate, dict.fromkeys(colorectal.simulate, b"k" * 32)
    )
    counts = {
        r.marginal: sum(raw_cells(program, plan.marginal(r.marginal), t) for t in tables.values())
        for r in plan.releases()
    }
    template = run_plaintext(plan, tables)
    exact = Measurements(
        format="secgen.measurements/1",
        plan_sha256=template.plan_sha256,
        measurements=tuple(
            Measurement(
                marginal=r.marginal,
                values=tuple(apply_map(r.map, counts[r.marginal]).tolist()),
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
        cells = counts[release.marginal].astype(float)
        if release.map == "centred":
            cells = cells - cells.mean(axis=2, keepdims=True)
        shown = np.array([float(r["value"]) for r in by_marginal[release.marginal]])
        np.testing.assert_allclose(shown, cells.ravel(), atol=1e-4)
    repair = by_marginal["subtype*repair"]
    assert (repair[0]["gene"], repair[0]["from"], repair[0]["to"]) == ("MLH1", "0", "2")
    assert (repair[-1]["gene"], repair[-1]["from"], repair[-1]["to"]) == ("EPCAM", "18", "20")
