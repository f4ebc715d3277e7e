"""From files to releases: the caps that a site's reader holds, and runs of real processes."""

import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.launcher import run_protocol
from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import SecondMoment, VectorSum
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.site.read import read_site
from secgen_dsl.runtime.store import ContributionStore
from tests.conftest import ROOT
from tests.generated.by_hand import norm_squared
from tests.generated.drafts import GeneratedSpec
from tests.generated.people import measured_queries, with_any_edges, worst_person
from tests.generated.site_files import (
    Row,
    libraries_are_columns_of_their_own,
    rows_of,
    write_site,
)
from tests.generated.specs import specs
from tests.generated.studies import FULL, examples, folder_of, planned, resolved, sources_of
from tests.mpyc.entries import InjectedNoise

KEY = bytes(32)


@examples(quick=40, full=800)
@given(specs(), st.integers(0, 2**32))
def test_no_person_changes_what_sites_read_by_more_than_declared(
    spec: GeneratedSpec, seed: int
) -> None:
    """A person may have any number of rows of any content: the reader holds the caps."""
    random = Random(seed)  # noqa: S311 (invented people)
    with folder_of(spec) as folder:
        plan = planned(resolved(spec.text(), folder))
        if plan is None:
            return
        others = rows_of(random, plan.program, people=2, most=3)
        nobody: list[list[Row]] = [[]] * plan.program.person.silos
        edges = with_any_edges(plan, random)
        counted = [
            counts_of(plan, edges, read(random, plan, others, silos, folder / name))
            for name, silos in (
                ("nobody", nobody),
                ("any", any_rows(random, plan.program)),
                ("another", any_rows(random, plan.program)),
                ("worst", worst_rows(random, plan.program)),
            )
        ]
    replaced = plan.program.privacy.adjacency == "replace-one"
    for release, without, one, another, worst in zip(plan.releases(), *counted, strict=True):
        vector = isinstance(plan.query(release.query), VectorSum | SecondMoment)
        pairs = [(without, one), (another, without), (without, worst)]
        for before, after in [*pairs, (one, another), (one, worst)] if replaced else pairs:
            changed = norm_squared(release.map, before - after, release.halved)
            assert changed <= release.noise.sensitivity_squared
        exact = libraries_are_columns_of_their_own(plan.program) and not vector
        if exact and not replaced:
            most = norm_squared(release.map, worst - without)
            assert most == release.noise.sensitivity_squared


def any_rows(random: Random, program: Program) -> list[list[Row]]:
    """Rows of one person at each silo, too many and of any content."""
    most = 3 * program.person.samples
    silos = range(program.person.silos)
    return [rows_of(random, program, 1, most, prefix=f"person{silo}") for silo in silos]


def worst_rows(random: Random, program: Program) -> list[list[Row]]:
    """Twice as many rows as count, all alike and counted everywhere."""
    return [
        [Row("w", f"w{place}", "2020-01-01", sample) for place, sample in enumerate(samples * 2)]
        for samples in worst_person(random, program)
    ]


def read(
    random: Random, plan: Plan, others: list[Row], silos: list[list[Row]], folder: Path
) -> list[SampleTable]:
    """The tables of the silos, with other people at the first."""
    folder.mkdir()
    tables = []
    for number, rows in enumerate(silos):
        held = rows if number else [*others, *rows]
        path = write_site(random, plan.program, held, folder / str(number))
        tables.append(read_site(plan.program, path, KEY, "a site")[0])
    return tables


def counts_of(plan: Plan, program: Program, tables: list[SampleTable]) -> list[NDArray[np.int64]]:
    """Raw cells of every release, summed over the silos; learned edges are those of ``program``."""
    return [
        np.sum([raw_cells(program, query, table) for table in tables], axis=0)
        for query in measured_queries(plan, program)
    ]


FEATURES = (
    *("mutation", "number", "else", "library", "missing", "pairs", "within", "per", "earliest"),
    *("aligned", "replace", "helpers", "share", "each", "colluding", "equal bins", "bins at"),
    *("in at most 2 silos", "at most 2 samples", "at most 3 samples", "bins from"),
    *("learned", "moments", "labelled"),
)
LONGEST_WAIT = 5
"""Seconds that a plan may wait before a later round."""


def features_of(spec: GeneratedSpec) -> set[str]:
    text = spec.text()
    return {words for words in FEATURES if f" {words} " in text}


def waits(spec: GeneratedSpec) -> int:
    """Seconds between the rounds of a spec's plan."""
    if "learned" not in features_of(spec):
        return 0
    with folder_of(spec) as folder:
        plan = planned(resolved(spec.text(), folder))
    return 0 if plan is None else max(one_round.delay for one_round in plan.rounds)


def varied(number: int) -> list[GeneratedSpec]:
    """So many specs of few parties that together have as much of the language as possible."""
    pool: list[GeneratedSpec] = []

    @settings(max_examples=200, phases=[Phase.generate], database=None, deadline=None)
    @given(specs())
    def collect(spec: GeneratedSpec) -> None:
        if spec.text().count(" terms ") <= 3 and waits(spec) <= LONGEST_WAIT:
            pool.append(spec)

    collect()
    chosen: list[GeneratedSpec] = []
    met: set[str] = set()
    for _ in range(number):
        best = max(pool, key=lambda spec: len(features_of(spec) - met))
        if not features_of(best) - met:  # begin again: of each some more
            met = set()
        pool.remove(best)
        chosen.append(best)
        met |= features_of(best)
    return chosen


def test_runs_of_real_processes_equal_the_plain_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    number = 36 if FULL else 4
    chosen = varied(number)
    if not FULL:
        assert len(set().union(*map(features_of, chosen))) > len(FEATURES) - 7
    done = 0
    for place, spec in enumerate(chosen):
        with folder_of(spec) as folder:
            meaning = resolved(spec.text(), folder)
            plan = planned(meaning)
        if plan is not None:
            sources = sources_of(meaning, plan)
            run_and_compare(plan, sources, Random(place), tmp_path / str(place))  # noqa: S311
            done += 1
    assert done >= number - number // 6


def run_and_compare(plan: Plan, sources: dict[str, str], random: Random, folder: Path) -> None:
    folder.mkdir()
    program = plan.program
    files = {
        silo.name: write_site(
            random, program, rows_of(random, program, random.randint(0, 6), 4), folder / silo.name
        )
        for silo in program.silos
    }
    result = run_protocol(
        plan,
        generate_program(plan, sources),
        sources,
        "5" * 64,
        files,
        folder / "state",
        on_progress=lambda _: None,
        timeout=60,
        party_command=[sys.executable, "-m", "tests.mpyc.entries", "injected"],
    )
    keys = {}
    for name in files:
        (state,) = [path for path in (folder / "state").iterdir() if is_of(path, name)]
        with ContributionStore(state / "store.sqlite") as store:
            keys[name] = store.site_key()
    noise = {name: InjectedNoise(index) for index, name in enumerate(plan.parties)}
    plain = run_plaintext(plan, read_tables(program, files, keys), noise)
    assert result.measurements == plain


def is_of(state: Path, name: str) -> bool:
    """Whether a party's private folder is that of a party."""
    return state.name.rpartition("-")[0] == name
