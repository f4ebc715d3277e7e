"""The whole pipeline on the embedded real cohort, over real processes and with real noise."""

import sys
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from scipy.stats import chi2

from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.launcher import run_protocol
from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.cli.main import group
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.runtime.store import ContributionStore
from tests.conftest import ROOT, SPECS
from tests.mpyc.entries import InjectedNoise

Run = Callable[[PlannedStudy, Path], Measurements]


def over_mpyc(planned: PlannedStudy, folder: Path, behaviour: str = "") -> Measurements:
    command = [sys.executable, "-m", "tests.mpyc.entries", behaviour]
    extra = {"party_command": command} if behaviour else {}
    return run_protocol(
        planned.plan,
        generate_program(planned.plan, planned.sources),
        planned.sources,
        "5" * 64,
        planned.simulate,
        folder / "parties",
        on_progress=lambda _: None,
        timeout=30,
        **extra,
    ).measurements


def in_one_process(planned: PlannedStudy, folder: Path) -> Measurements:
    keys = dict.fromkeys(planned.simulate, bytes(32))
    return run_plaintext(planned.plan, read_tables(planned.plan.program, planned.simulate, keys))


def exact_sums(planned: PlannedStudy) -> dict[str, NDArray[np.int64]]:
    program = planned.plan.program
    tables = read_tables(program, planned.simulate, dict.fromkeys(planned.simulate, bytes(32)))
    return {
        release.query: sum(
            apply_map(release.map, raw_cells(program, planned.plan.query(release.query), table))
            for table in tables.values()
        )
        for release in planned.plan.releases()
    }


def residuals(planned: PlannedStudy, measurements: Measurements) -> dict[str, NDArray[np.int64]]:
    exact = exact_sums(planned)
    return {
        release.query: np.array(measurements.values(release.query)) - exact[release.query]
        for release in planned.plan.releases()
    }


def assert_noise_is_as_planned(plan: Plan, noise: dict[str, NDArray[np.int64]]) -> None:
    """Variance of what was added, in the metric of each map: chi-square, one false alarm in 10⁷.

    For centred rows y = B·z − Σz: the quadratic form Σy² = B²·|Pz|² over all B entries has mean
    B²·(B − 1)·s² a row.  Noise added after centring would give a B-th of that, or less.
    """
    for release in plan.releases():
        added = noise[release.query].astype(np.float64)
        variance = float(plan.released_variance(release))
        if release.map == "centred":
            bins = plan.query(release.query).bins
            rows = added.reshape(-1, bins - 1)
            rows = np.column_stack([rows, -rows.sum(axis=1)])
            statistic = (rows**2).sum() / (bins**2 * variance)
            freedom = rows.shape[0] * (bins - 1)
        else:
            statistic = (added**2).sum() / variance
            freedom = added.size
        low, high = chi2.ppf([5e-8, 1 - 5e-8], freedom)
        assert low < statistic < high, release.query


@pytest.mark.parametrize("run", [over_mpyc, in_one_process])
def test_the_opened_sums_carry_the_planned_noise(
    run: Run, colorectal: PlannedStudy, tmp_path: Path
) -> None:
    noise = residuals(colorectal, run(colorectal, tmp_path))
    assert_noise_is_as_planned(colorectal.plan, noise)

    for spoil in (
        lambda z: z * 0,  # missing
        lambda z: z // 2,  # halved
        lambda z: np.round(z / 2**0.5).astype(np.int64),  # of half the variance
    ):
        with pytest.raises(AssertionError):
            assert_noise_is_as_planned(colorectal.plan, {k: spoil(z) for k, z in noise.items()})


def test_noise_after_centring_would_be_noticed(colorectal: PlannedStudy) -> None:
    plan = colorectal.plan
    rng = np.random.default_rng(1)
    late = {
        r.query: np.round(rng.normal(0, float(plan.released_variance(r)) ** 0.5, r.opened))
        for r in plan.releases()
    }
    with pytest.raises(AssertionError):
        assert_noise_is_as_planned(plan, {k: z.astype(np.int64) for k, z in late.items()})


def test_two_runs_share_no_noise(colorectal: PlannedStudy, tmp_path: Path) -> None:
    first = residuals(colorectal, over_mpyc(colorectal, tmp_path / "one"))
    second = residuals(colorectal, over_mpyc(colorectal, tmp_path / "two"))
    for marginal, noise in first.items():
        if noise.size < 100:
            continue
        correlation = np.corrcoef(noise, second[marginal])[0, 1]
        assert abs(correlation) < 5 / np.sqrt(noise.size)
    cycle, repair = first["subtype*cycle"][:200], first["subtype*repair"][:200]
    assert abs(np.corrcoef(cycle, repair)[0, 1]) < 5 / np.sqrt(200)


@pytest.mark.parametrize("study", ["colorectal", "two_hospitals", "five_parties", "pure"])
def test_both_backends_open_equal_integers_under_injected_noise(
    study: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    planned: PlannedStudy = request.getfixturevalue(study)
    opened = over_mpyc(planned, tmp_path, "injected")
    keys = {}
    for silo in planned.simulate:
        folder = next(p for p in (tmp_path / "parties").iterdir() if p.name.startswith(f"{silo}-"))
        keys[silo] = ContributionStore(next(folder.glob("*.sqlite"))).site_key()
    tables = read_tables(planned.plan.program, planned.simulate, keys)
    noise = {name: InjectedNoise(i) for i, name in enumerate(planned.plan.parties)}
    assert opened == run_plaintext(planned.plan, tables, noise)


# Examples without data are rehearsed on invented rows (tests/cli/test_rehearsal.py).
WITH_DATA = sorted(path for path in SPECS.glob("*.secgen") if "simulate {" in path.read_text())


@pytest.mark.parametrize("spec", WITH_DATA, ids=lambda path: path.stem)
def test_every_example_runs(spec: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    done = CliRunner().invoke(group, ["run", str(spec), "--out", str(out)])
    assert done.exit_code == 0, done.output
    formats = plan_spec(spec).plan.program.samples.formats
    assert {path.suffix[1:] for path in out.glob("synthetic.*")} == set(formats)


def test_run_leaves_the_promised_files(tmp_path: Path) -> None:
    out = tmp_path / "results"
    done = CliRunner().invoke(
        group, ["run", str(SPECS / "colorectal.secgen"), "--out", str(out), "--seed", "1"]
    )
    assert done.exit_code == 0, done.output
    assert {path.name for path in out.iterdir()} == {
        "synthetic.csv", "synthetic.h5ad", "measurements.json", "measurements.csv", "plan.json",
        "certificate.json",
        "receipt.json", "study.json", "description.md", "party_program.py", "parties",
    }  # fmt: skip
    rows = pd.read_csv(out / "synthetic.csv", keep_default_na=False)
    assert len(rows) == 600
    assert set(rows["subtype"]) <= {"CIN", "GS", "MSI", "unknown"}
    assert set(rows["sex"]) <= {"female", "male", "unknown"}
    table = anndata.read_h5ad(out / "synthetic.h5ad")
    assert table.shape == (600, 53)
    assert table.X.min() >= 0
    assert table.X.max() <= 20
    assert table.uns["epsilon"] == 4
    # A fact of the biology that must survive: MSI tumours have lost MLH1.  The gap is 1.5 ± .5 over
    # the noise of runs (25 of them): a bound at -0.5 fails falsely about once in 10⁵ runs.
    means = rows.groupby("subtype")["MLH1"].mean()
    assert means["MSI"] < means["CIN"] + 0.5


def test_pairs_by_labels_from_spec_to_samples(tmp_path: Path) -> None:
    """Over real parties: ten pairs of genes by subtype."""
    text = (SPECS / "colorectal.secgen").read_text(encoding="utf-8")
    before, rest = text.split("measure {\n")
    pairs = "subtype * pairs of cycle in 4 bins from elsewhere keep 10 by correlation in elsewhere"
    measure = (
        f"measure {{\n  marginal subtype * cycle in 4 bins from elsewhere\n  marginal {pairs}\n}}"
    )
    whole = before + measure + rest[rest.index("}") + 1 :]
    whole = whole.replace('"data/', f'"{SPECS}/data/').replace('"panels/', f'"{SPECS}/panels/')
    spec = tmp_path / "pairs.secgen"
    spec.write_text(whole, encoding="utf-8")
    out = tmp_path / "results"
    done = CliRunner().invoke(group, ["run", str(spec), "--out", str(out), "--seed", "1"])
    assert done.exit_code == 0, done.output
    description = (out / "description.md").read_text(encoding="utf-8")
    assert f"marginal {pairs}" in description.replace("\\*", "*")
    assert "10 × 4 × 4 × 4 cells" in description
    planned = plan_spec(spec)
    query = planned.plan.program.query("subtype*pairs of cycle")
    real = pd.concat([pd.read_csv(path) for path in planned.simulate.values()])
    made = pd.read_csv(out / "synthetic.csv", keep_default_na=False)
    for label in ("CIN", "GS", "MSI"):
        tables = [table[table["subtype"] == label] for table in (real, made)]
        found = [
            [np.corrcoef(t[query.genes[i]], t[query.genes[j]])[0, 1] for i, j in query.pairs]
            for t in tables
        ]
        # The kept pairs have .6 to .9; without pairs samples have about 0 inside a label.
        assert np.abs(np.subtract(*found)).mean() < 0.3, label
