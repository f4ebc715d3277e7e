import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl import __version__
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.public.files import read_public_file
from secgen_dsl.synthesis.files import sample_names, write_samples
from secgen_dsl.synthesis.sample import Samples
from secgen_dsl.synthesis.synthesize import synthesize

from .studies import People, column, marginal, measure, panel, plan_of, program, reference


def study(folder: Path, rows: int = 12, seed: int = 7) -> tuple[Plan, Samples]:
    """A spec in one go: a column and a gene share a name, a gene has two units, a value a comma."""
    table = folder / "reference.csv"
    table.write_text("sample,NPM1,A\nr1,3,4\nr2,6,7\nr3,9,11\n", encoding="utf-8")
    spec = program(
        [column("NPM1", "yes", "no, never", "untested")],
        [
            marginal(["NPM1"], "p", [[5.0], [6.0]], reference="elsewhere"),
            marginal(["NPM1"], "q", [[5.0]]),
        ],
        [panel("p", ["NPM1", "A"]), panel("q", ["A"], unit="counts", high=50)],
        [reference("elsewhere", sha256=read_public_file(folder, table.name).sha256)],
    )
    plan = plan_of(spec, [4, 4])
    rng = np.random.default_rng(0)
    people = People(
        {"NPM1": rng.integers(0, 2, 60)},
        {"NPM1": rng.uniform(0, 10, 60), "A": rng.uniform(0, 10, 60)},
    )
    measurements = measure(plan, people, rng)
    samples = synthesize(
        plan,
        measurements,
        {"elsewhere": read_public_file(folder, table.name)},
        rows,
        np.random.default_rng(seed),
    )
    return plan, samples


def test_csv_holds_columns_then_genes(tmp_path: Path) -> None:
    plan, samples = study(tmp_path)
    (path,) = write_samples(tmp_path / "new" / "out", plan, samples, ["csv"], "A study")
    assert path.name == "synthetic.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["sample", "NPM1", "expr:NPM1", "p.A", "q.A"]
    assert len(rows) == 12
    assert [row[0] for row in rows] == sample_names(12)
    assert rows[0][0] == "synthetic-0001"
    assert [row[1] for row in rows] == samples.labels("NPM1").tolist()
    written = np.array([[float(v) for v in row[2:]] for row in rows])
    np.testing.assert_allclose(written, samples.values, atol=5.1e-5)
    assert all(len(v.split(".")[1]) == 4 for row in rows for v in row[2:])


def test_csv_is_the_same_to_the_byte_under_a_seed(tmp_path: Path) -> None:
    contents = []
    for folder, seed in [("a", 7), ("b", 7), ("c", 8)]:
        plan, samples = study(tmp_path, seed=seed)
        contents.append(
            write_samples(tmp_path / folder, plan, samples, ["csv"], "")[0].read_bytes()
        )
    assert contents[0] == contents[1] != contents[2]
    assert b"\r" not in contents[0]


def test_h5ad_holds_the_rows_and_where_they_come_from(tmp_path: Path) -> None:
    import anndata

    plan, samples = study(tmp_path)
    paths = write_samples(tmp_path, plan, samples, ["h5ad", "csv"], "A study")
    assert [path.name for path in paths] == ["synthetic.h5ad", "synthetic.csv"]
    read = anndata.read_h5ad(paths[0])
    assert read.X.dtype == np.float32
    np.testing.assert_allclose(read.X, samples.values, rtol=1e-6)
    assert list(read.obs_names) == sample_names(12)
    assert list(read.var_names) == ["NPM1", "p.A", "q.A"]
    assert list(read.var["panel"]) == ["p", "p", "q"]
    assert list(read.var["unit"]) == ["log2", "log2", "counts"]
    # All public values are categories, drawn or not.
    assert list(read.obs["NPM1"].cat.categories) == ["yes", "no, never", "untested"]
    assert list(read.obs["NPM1"]) == samples.labels("NPM1").tolist()
    assert read.uns["study"] == "A study"
    assert read.uns["plan_sha256"] == sha256_of(plan)
    assert float(read.uns["epsilon"]) == 4
    assert float(read.uns["delta"]) == 1e-6
    assert read.uns["secgen_version"] == __version__


def test_a_column_named_sample_keeps_its_name(tmp_path: Path) -> None:
    spec = program([column("sample", "blood", "bone")], [marginal(["sample"])])
    plan = plan_of(spec, [1])
    people = People({"sample": np.array([0, 1, 1])}, {})
    samples = synthesize(plan, measure(plan, people, None), {}, 3, np.random.default_rng(0))
    path = write_samples(tmp_path, plan, samples, ["csv", "h5ad"], "")[0]
    assert path.read_text(encoding="utf-8").splitlines()[0] == "synthetic_sample,sample"


@pytest.mark.parametrize("name", ["_index", "index", "er/pr", "..", "=1+1", "synthetic_sample"])
def test_columns_of_any_name_are_written(tmp_path: Path, name: str) -> None:
    import anndata

    plan, samples = study(tmp_path)
    own = samples.columns[0].model_copy(update={"name": name})
    odd = replace(samples, columns=(own,))
    csv_path, h5ad_path = write_samples(tmp_path / "out", plan, odd, ["csv", "h5ad"], "A study")
    header = csv_path.read_text(encoding="utf-8").splitlines()[0].split(",")
    assert header[1] == name
    assert len(set(header)) == len(header)
    (obs,) = anndata.read_h5ad(h5ad_path).obs.items()
    assert obs[0] == ("column:_index" if name == "_index" else name)
    assert obs[1].tolist() == odd.labels(name).tolist()


@pytest.mark.parametrize("trouble", ["out is a file", "h5ad is a folder"])
def test_what_cannot_be_written_leaves_nothing_half_written(tmp_path: Path, trouble: str) -> None:
    plan, samples = study(tmp_path)
    out = tmp_path / "out"
    if trouble == "out is a file":
        out.write_text("mine", encoding="utf-8")
    else:
        (out / "synthetic.h5ad" / "mine").mkdir(parents=True)
    with pytest.raises(SecgenError) as raised:
        write_samples(out, plan, samples, ["h5ad", "csv"], "")
    assert raised.value.diagnostics[0].code == "SG612"
    assert raised.value.diagnostics[0].place == str(out)
    if out.is_dir():
        assert [path.name for path in out.iterdir()] == ["synthetic.h5ad"]
    else:
        assert out.read_text(encoding="utf-8") == "mine"


def test_a_reference_that_changed_stops_synthesis(tmp_path: Path) -> None:
    plan, _ = study(tmp_path)
    changed = tmp_path / "changed.csv"
    changed.write_text("sample,NPM1,A\nr1,3,5\n", encoding="utf-8")
    people = People({"NPM1": np.array([0])}, {"NPM1": np.array([1.0]), "A": np.array([1.0])})
    with pytest.raises(SecgenError) as raised:
        synthesize(
            plan,
            measure(plan, people, None),
            {"elsewhere": read_public_file(tmp_path, changed.name)},
            5,
            np.random.default_rng(0),
        )
    assert raised.value.diagnostics[0].code == "SG603"
