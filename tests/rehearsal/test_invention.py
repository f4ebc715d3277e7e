"""Invented samples: what the spec allows, at the stated rates, and nothing else."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.ir.program import NumberColumn, Program
from secgen_dsl.rehearsal import MARK
from secgen_dsl.rehearsal.invention import ODD, InventedSamples, invent
from secgen_dsl.rehearsal.tables import write_tables
from secgen_dsl.runtime.site.read import read_site
from secgen_dsl.synthesis.reference import read_references

STUDY = Path(__file__).resolve().parent.parent / "describe" / "study"
ROWS = 2000
HOLDER = "listed"  # the panel of the gene A1


@pytest.fixture(scope="module")
def study() -> PlannedStudy:
    """A study with every kind of column, panel and public table."""
    return plan_spec(STUDY / "study.secgen")


def invented(
    study: PlannedStudy, change: Callable[[Program], Program] = lambda program: program
) -> tuple[Program, dict[str, InventedSamples]]:
    program = change(study.plan.program)
    references = read_references(study.plan.program, study.public_files)
    return program, invent(program, references, ROWS, np.random.default_rng(5))


def person(**fields: object) -> Callable[[Program], Program]:
    return lambda program: program.model_copy(
        update={"person": program.person.model_copy(update=fields)}
    )


def near(count: int, share: float, rows: int = ROWS) -> bool:
    """Within five standard deviations of a binomial."""
    return bool(abs(count - rows * share) <= 5 * (rows * share * (1 - share)) ** 0.5)


def test_every_silo_has_that_many_rows_of_all_columns(study: PlannedStudy) -> None:
    program, sites = invented(study)
    assert list(sites) == ["north", "south", "west"]
    for name, site in sites.items():
        assert set(site.columns) == {"patient", "sex", "grade", "age", "TP53", "total"}
        assert set(site.genes) == {gene for panel in program.panels for gene in panel.genes}
        lengths = {len(texts) for texts in (*site.columns.values(), *site.genes.values())}
        assert lengths == {ROWS}
        assert site.other_genes == []
        assert len(set(site.samples)) == ROWS
        assert all(sample.startswith(f"{MARK}-{name}-") for sample in site.samples)
        assert all(key.startswith(MARK) for key in site.columns["patient"] if key)


def test_labels_have_the_expected_shares_and_odd_ones(study: PlannedStudy) -> None:
    _, sites = invented(study)
    for site in sites.values():
        sexes = Counter(site.columns["sex"])
        assert near(sexes["female"], 0.5 * (1 - ODD))
        grades = Counter(site.columns["grade"])
        assert near(grades["high"], 0.2 * (1 - ODD))
        assert near(grades["low"], 0.4 * (1 - ODD))
        assert near(grades[""] + grades["not in the spec"], ODD)
        assert grades[""] > 0 < grades["not in the spec"]


def test_numbers_are_whole_where_the_column_is(study: PlannedStudy) -> None:
    program, sites = invented(study)
    column = program.column("age")
    assert isinstance(column, NumberColumn)
    for site in sites.values():
        texts = site.columns["age"]
        whole = [int(text) for text in texts if text.isdigit()]
        assert {text for text in texts if not text.isdigit()} == {"", "NA", "not measured"}
        assert set(whole) - set(range(101)) == {200}
        assert near(sum(number < 40 for number in whole), 40 / 101 * (1 - ODD))


def test_genes_follow_the_public_table_of_their_unit(study: PlannedStudy) -> None:
    _, sites = invented(study)
    program = study.plan.program
    references = read_references(program, study.public_files)
    first = next(
        r.name
        for r in program.references
        if program.reference_unit(r) == program.panel(HOLDER).unit
    )
    for site in sites.values():
        known = references[first]["A1"]
        values = np.array([float(text) for text in site.genes["A1"] if text != "NA"])
        assert near(ROWS - len(values), ODD / 10)
        assert 0 < float(values.min()) < float(values.max()) < 20
        assert abs(values.mean() - known.mean()) < 5 * known.std() / ROWS**0.5
        assert values.std() == pytest.approx(known.std() * 1.005, rel=0.1)
        assert len(set(values)) > ROWS / 2  # jittered, no copies


def test_genes_without_a_public_table_fill_the_range(study: PlannedStudy) -> None:
    _, sites = invented(
        study,
        lambda program: program.model_copy(
            update={"panels": (program.panel(HOLDER).model_copy(update={"unit": "vst"}),)}
        ),
    )
    values = [float(text) for text in sites["north"].genes["A1"] if text != "NA"]
    assert near(sum(value < 5 for value in values), 0.25, len(values))


def counted(column: str | None) -> Callable[[Program], Program]:
    def change(program: Program) -> Program:
        (bulk,) = (panel for panel in program.panels if panel.name == "bulk")
        assert bulk.counts is not None
        counts = bulk.counts.model_copy(update={"library_column": column})
        return program.model_copy(update={"panels": (bulk.model_copy(update={"counts": counts}),)})

    return change


def test_counts_come_back_as_the_values_they_stand_for(study: PlannedStudy) -> None:
    _, sites = invented(study, counted("total"))
    known = read_references(study.plan.program, study.public_files)["atlas"]["H8"]
    site = sites["north"]
    pairs = zip(site.genes["H8"], site.columns["total"], strict=True)
    values = [np.log2(1e6 * int(g) / int(t) + 1) for g, t in pairs if "NA" not in (g, t)]
    assert np.mean(values) == pytest.approx(known.mean(), abs=0.2)


def test_library_sizes_of_all_genes_add_up(study: PlannedStudy) -> None:
    program, sites = invented(study, counted(None))
    site = sites["north"]
    assert "total" not in site.columns
    genes = [gene for panel in program.panels for gene in panel.genes]
    rows = zip(site.other_genes, *(site.genes[gene] for gene in genes), strict=True)
    sums = [sum(int(text) for text in row if text != "NA") for row in rows]
    assert 1e6 < min(sums) < max(sums) < 3.1e7


@pytest.mark.parametrize(("samples", "per"), [(1, None), (3, None), (1, "grade"), (2, "grade")])
def test_persons_reach_the_cap_and_now_and_then_pass_it(
    study: PlannedStudy, samples: int, per: str | None
) -> None:
    _, sites = invented(study, person(samples=samples, per=per))
    cap = samples * (3 if per else 1)
    several: Counter[int] = Counter()
    for site in sites.values():
        several += Counter(Counter(key for key in site.columns["patient"] if key).values())
    assert several[cap] > several[cap + 1] > 0
    assert max(several) == cap + 1
    if per:
        pairs = Counter(zip(site.columns["patient"], site.columns[per], strict=True))
        assert sum(n > samples for (key, value), n in pairs.items() if key and value) < ODD * ROWS


@pytest.mark.parametrize("silos", [1, 2, 3])
def test_persons_are_in_as_many_silos_as_may_be(study: PlannedStudy, silos: int) -> None:
    _, sites = invented(study, person(silos=silos))
    found = Counter(key for site in sites.values() for key in set(site.columns["patient"]) if key)
    assert max(found.values()) == silos


def test_dates_are_dates_with_odd_ones(study: PlannedStudy) -> None:
    _, sites = invented(study, person(keep="collected"))
    dates = sites["south"].columns["collected"]
    odd = [text for text in dates if text in ("", "unknown")]
    assert near(len(odd), ODD)
    assert all("2015-01-01" <= text < "2025-01-01" for text in dates if text not in odd)


def test_the_same_seed_invents_the_same(study: PlannedStudy) -> None:
    first, second = invented(study)[1], invented(study)[1]
    assert {name: site.__dict__ for name, site in first.items()} == {
        name: site.__dict__ for name, site in second.items()
    }


SHAPES: dict[str, Callable[[Program], Program]] = {
    "one-table": person(),
    "all-genes": counted(None),
    "key-is-sample": person(key="sample"),
    "key-is-sample_id": person(key="sample_id"),
    "date-is-sample": person(keep="sample"),
    "genes-named-as-columns": person(key="A1", keep="H8"),
    "several-samples": person(samples=3, per="grade", keep="collected", silos=2),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_site_reads_what_was_written(study: PlannedStudy, tmp_path: Path, name: str) -> None:
    program, sites = invented(study, SHAPES[name])
    for silo, path in write_tables(tmp_path, program, sites).items():
        table, report = read_site(program, path, b"key", silo)
        assert report.samples == table.rows > 0.9 * ROWS
        assert sum(file.rows_that_do_not_fit for file in report.files.values()) == 0
        assert report.rows_without_expression == report.repeated_samples == 0
        for gene, texts in sites[silo].genes.items():
            expected = {float(text) for text in texts if text != "NA"}
            assert set(table.expression[gene][~np.isnan(table.expression[gene])]) <= expected
