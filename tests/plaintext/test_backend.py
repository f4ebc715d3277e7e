"""The plaintext backend: all parties' noise, exact sums, and the demo's files."""

import csv
import gzip
import math
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.backends.plaintext.backend import opened_sum, read_tables, run_plaintext
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import MERSENNE_61, LinearMap, Plan
from secgen_dsl.ir.program import CategoryColumn
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.table import SampleTable, empty_table
from secgen_dsl.runtime.site.read import read_site
from tests.site_programs import (
    SUBTYPE,
    NoNoise,
    RecordingNoise,
    make_marginal,
    make_panel,
    make_plan,
    make_program,
    make_table,
)

SPECS = Path(__file__).resolve().parents[2] / "specs"
GENES = tuple(f"G{number}" for number in range(100))
PANEL = make_panel(GENES)
MARGINALS = (
    make_marginal(["subtype"]),
    make_marginal(["subtype"], PANEL, [(Fraction(5), Fraction(10))] * len(GENES)),
)
PROGRAM = make_program(
    [SUBTYPE], [PANEL], MARGINALS, silos=("north", "south"), helpers=("university",)
)
VARIANCE = Fraction(50)
PLAN = make_plan(PROGRAM, {"subtype*panel": "centred"}, VARIANCE)


def tables(seed: int = 1) -> dict[str, SampleTable]:
    generator = np.random.default_rng(seed)
    return {
        silo: make_table(
            {"subtype": generator.choice([*SUBTYPE.values, "?"], people)},
            {gene: generator.normal(8, 5, people) for gene in GENES},
        )
        for silo, people in (("north", 40), ("south", 25))
    }


def test_opened_values_are_the_sum_of_all_parties_helpers_included() -> None:
    given = tables()
    noise = {party: RecordingNoise(start=1 + 5000 * i) for i, party in enumerate(PLAN.parties)}
    result = run_plaintext(PLAN, given, noise)
    assert result.plan_sha256 == sha256_of(PLAN)
    assert [each.query for each in result.measurements] == ["subtype", "subtype*panel"]
    requests = [("subtype", 4, VARIANCE), ("subtype*panel", 1200, VARIANCE)]
    assert all(noise[party].requests == requests for party in ("north", "south", "university"))
    maps: tuple[LinearMap, ...] = ("identity", "centred")
    for marginal, linear_map in zip(MARGINALS, maps, strict=True):
        shape = PROGRAM.shape(marginal)
        noised = np.zeros(shape, dtype=np.int64)
        for table in given.values():
            noised += raw_cells(PROGRAM, marginal, table)
        for source in noise.values():
            noised += source.answers[marginal.id].reshape(shape)
        expected = apply_map(linear_map, noised)
        assert result.values(marginal.id) == tuple(expected.tolist())
        assert all(type(value) is int for value in result.values(marginal.id))


def test_the_systems_noise_of_all_parties_is_in_the_result() -> None:
    """Bounds of 5 standard errors: a party without noise gives 2/3 of the variance or less."""
    program = make_program(
        [SUBTYPE], [PANEL], [MARGINALS[1]], silos=("north", "south"), helpers=("university",)
    )
    plan = make_plan(program, {}, VARIANCE)
    nobody = empty_table(program)
    nobodies = {"north": nobody, "south": nobody}
    first, second = (
        np.array(run_plaintext(plan, nobodies).values("subtype*panel"), dtype=np.float64)
        for _ in range(2)
    )
    for values in (first, second):
        ratio = np.mean(values**2) / float(plan.released_variance(plan.rounds[0].releases[0]))
        assert abs(ratio - 1) < 5 * math.sqrt(2 / 1200)
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(1200)


def test_values_are_decoded_as_field_elements_are() -> None:
    half = MERSENNE_61 // 2
    vectors = [np.array([3, -half, half, half]), np.array([-5, 0, 0, 1])]
    assert opened_sum(vectors, MERSENNE_61) == (-2, -half, half, -half)


def test_the_tables_must_be_those_of_the_silos() -> None:
    given = tables()
    with pytest.raises(SecgenError) as raised:
        run_plaintext(PLAN, {"north": given["north"], "sout": given["south"]})
    unknown, absent = raised.value.diagnostics
    assert (unknown.code, absent.code) == ("SG417", "SG417")
    assert 'did you mean "south"?' in unknown.next_step
    assert "--data south=FILE" in absent.next_step
    with pytest.raises(ValueError, match="noise source"):
        run_plaintext(PLAN, given, {"north": NoNoise(), "south": NoNoise()})


def test_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    for silo in ("north", "south"):
        (tmp_path / f"{silo}.csv").write_text("patient\n")
    files = {silo: tmp_path / f"{silo}.csv" for silo in ("north", "south")}
    keys = {"north": b"1", "south": b"2"}
    with pytest.raises(SecgenError) as raised:
        read_tables(PROGRAM, files, keys)
    assert [each.code for each in raised.value.diagnostics] == ["SG413", "SG414"] * 2
    assert "(north)" in raised.value.diagnostics[0].place
    assert "(south)" in raised.value.diagnostics[2].place


# The demo's files

DEMO_SILOS = ("europe", "northeast", "south")
REPAIR = ("MLH1", "MSH2", "MSH6", "PMS2", "EPCAM")
CYCLE = tuple(
    line
    for line in (SPECS / "panels" / "cell_cycle.txt").read_text().splitlines()
    if not line.startswith("#")
)
DEMO_PANEL = make_panel([*REPAIR, *CYCLE])
DEMO_SEX = CategoryColumn(
    kind="category", name="sex", values=("female", "male", "unknown"), otherwise="unknown"
)
DEMO_MARGINALS = (
    make_marginal(["subtype"]),
    make_marginal(["sex", "subtype"]),
    make_marginal(["subtype"], DEMO_PANEL, [tuple(map(Fraction, (6, 8, 10)))] * 53),
)
DEMO = make_program([SUBTYPE, DEMO_SEX], [DEMO_PANEL], DEMO_MARGINALS, silos=DEMO_SILOS)


def demo_rows(name: str) -> list[dict[str, str]]:
    with gzip.open(SPECS / "data" / f"{name}.csv.gz", "rt", newline="") as text:
        return list(csv.DictReader(text))


def demo_plan() -> Plan:
    return make_plan(DEMO, {}, VARIANCE)


def test_the_colorectal_files_read_and_sum_to_their_totals() -> None:
    files = {silo: SPECS / "data" / f"{silo}.csv.gz" for silo in DEMO_SILOS}
    given = read_tables(DEMO, files, dict.fromkeys(DEMO_SILOS, b"key"))
    assert [given[silo].rows for silo in DEMO_SILOS] == [221, 94, 76]
    result = run_plaintext(demo_plan(), given, {silo: NoNoise() for silo in DEMO_SILOS})
    rows = [row for silo in DEMO_SILOS for row in demo_rows(silo)]
    subtypes = Counter(row["subtype"] for row in rows)
    assert result.values("subtype") == tuple(subtypes[value] for value in SUBTYPE.values)
    assert subtypes == {"CIN": 206, "GS": 36, "MSI": 37, "unknown": 112}
    pairs = Counter((row["sex"], row["subtype"]) for row in rows)
    assert result.values("sex*subtype") == tuple(
        pairs[sex, subtype] for sex in DEMO_SEX.values for subtype in SUBTYPE.values
    )
    genes = np.array(result.values("subtype*panel")).reshape(53, 4, 4)
    assert (genes.sum(axis=2) == [subtypes[value] for value in SUBTYPE.values]).all()
    low = sum(row["subtype"] == "MSI" and float(row["MLH1"]) < 6 for row in rows)
    assert genes[0, 2, 0] == low > 0
    # MLH1 is silenced in many MSI tumours: their share below 8 is far above that of CIN.
    below = genes[0, :, :2].sum(axis=1) / genes[0].sum(axis=1)
    assert below[2] > 0.4
    assert below[0] < 0.2


def test_the_withheld_fifth_and_the_reference_are_apart_from_the_silos() -> None:
    used = {row["patient"] for silo in DEMO_SILOS for row in demo_rows(silo)}
    withheld = demo_rows("withheld")
    assert Counter(row["group"] for row in withheld) == {
        "europe": 55,
        "northeast": 24,
        "south": 19,
    }
    reference = demo_rows("colorectal_reference")
    assert {row["group"] for row in reference} == {"reference"}
    assert len(reference) == 103
    assert not used & {row["patient"] for row in (*withheld, *reference)}
    assert not {row["patient"] for row in withheld} & {row["patient"] for row in reference}
    for rows in (withheld, reference):
        assert {row["subtype"] for row in rows} <= set(SUBTYPE.values)


def test_withheld_people_and_reference_read_with_the_same_program() -> None:
    for name, people in (("withheld", 98), ("colorectal_reference", 103)):
        table, _ = read_site(DEMO, SPECS / "data" / f"{name}.csv.gz", b"", name)
        assert table.rows == people
        assert not any(np.isnan(values).any() for values in table.expression.values())


def test_the_cell_cycle_panel() -> None:
    assert len(CYCLE) == len(set(CYCLE)) == 48
    assert {"AURKA", "CDK1", "CCNA2"} <= set(CYCLE)
    columns = set(demo_rows("europe")[0])
    assert set(CYCLE) | set(REPAIR) <= columns


def test_the_files_hold_no_time_or_name() -> None:
    for path in sorted((SPECS / "data").glob("*.gz")):
        header = path.read_bytes()[:10]
        assert header[3] == 0  # no name, no comment
        assert header[4:8] == b"\0\0\0\0"


def test_the_script_makes_the_same_parts() -> None:
    """The split, from the source table where this machine has it."""
    source = Path(__file__).resolve().parents[3] / "shared" / "data" / "colorectal_demo.csv.gz"
    if not source.exists():
        pytest.skip("the source table is not on this machine")
    with gzip.open(source, "rt", newline="") as text:
        rows = list(csv.DictReader(text))
    for row in rows:
        if row["subtype"] == "HM-SNV":
            row["subtype"] = "unknown"
    parts = [*DEMO_SILOS, "withheld", "colorectal_reference"]
    made = [row for name in parts for row in demo_rows(name)]
    assert sorted(made, key=lambda row: row["sample"]) == sorted(
        rows, key=lambda row: row["sample"]
    )
