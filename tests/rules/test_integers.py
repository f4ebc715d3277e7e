"""S05: from a person's cells to the opened value there are integers only."""

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.cli.study import PlannedStudy, plan_source, plan_spec
from secgen_dsl.diagnostics.diagnostic import Source
from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.queries import as_table
from secgen_dsl.queries.contribution import encode, raw_cells
from secgen_dsl.queries.maps import LINEAR_MAPS, apply_map
from secgen_dsl.queries.table import SampleTable, empty_table
from secgen_dsl.runtime.noise import SystemNoise, draw_cells
from secgen_dsl.runtime.shamir import split
from tests.conftest import ROOT

EVERY_FEATURE = ROOT / "tests" / "verifier" / "every_feature"

# Where x, z and y are added, mapped, split and opened.
INTEGERS_ONLY = (
    "secgen_dsl/queries/contribution.py",
    "secgen_dsl/queries/maps.py",
    "secgen_dsl/queries/marginal.py",
    "secgen_dsl/queries/pairs.py",
    "secgen_dsl/runtime/shamir.py",
    "backends/mpyc/sharing.py",
    "backends/mpyc/template.py",
)
# Here a float64 from a file is taken to a whole number, exactly, before anything is summed.
FLOATS_BECOME_INTEGERS = ("secgen_dsl/queries/vectors.py", {"_standardised"})
FLOATS = {"float", "float16", "float32", "float64", "longdouble", "mean", "std", "average", "sqrt"}


def floats_of(tree: ast.AST) -> list[str]:
    """What makes or names floats: divisions, literals, types, means."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Div):
            found.append("/")
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(str(node.value))
        elif isinstance(node, ast.Attribute) and node.attr in FLOATS:
            found.append(node.attr)
        elif isinstance(node, ast.Name) and node.id in FLOATS:
            found.append(node.id)
    return found


@pytest.mark.parametrize("module", INTEGERS_ONLY)
def test_no_float_is_named_on_the_path(module: str) -> None:
    assert floats_of(ast.parse((ROOT / module).read_text(encoding="utf-8"))) == []


def test_vectors_are_integers_before_they_are_summed() -> None:
    module, allowed = FLOATS_BECOME_INTEGERS
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in allowed:
            assert floats_of(node)
            # Fractions are divided, and become whole numbers by round and //.
            allowed = allowed - {node.name}
        elif isinstance(node, ast.FunctionDef):
            exact = [found for found in floats_of(node) if found != "/"]
            assert exact == [], node.name
    assert allowed == set()


def test_the_check_sees_floats() -> None:
    for text in ("x / 2", "x * 0.5", "np.float64(x)", "x.mean()", "float(x)", "x.astype(float)"):
        assert floats_of(ast.parse(text)), text


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> PlannedStudy:
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(EVERY_FEATURE, folder, dirs_exist_ok=True)
    return plan_spec(Path(folder) / "study.secgen")


def some_people(planned: PlannedStudy, rows: int) -> SampleTable:
    """Rows of any kind of number: missing, infinite, beyond the range, in between."""
    program = planned.plan.program
    draw = np.random.default_rng(rows)
    odd = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -0.0, 0.1, 3.7, 11.0])
    nobody = empty_table(program)
    categories = {
        name: draw.choice(["x", "", *getattr(program.column(name), "values", ())], rows)
        for name in nobody.categories
    }
    return SampleTable(
        rows,
        categories,
        {gene: draw.choice(odd, rows) for gene in nobody.expression},
        {name: draw.choice(odd, rows) for name in nobody.numbers},
        {name: draw.choice(odd, rows) for name in nobody.library_sizes},
    )


SAME_BINS = """secgen 1
study "Same bins" { purpose "Trial"; contact "nobody@consortium.example" }
silos hold patients { north terms open; south terms open; west terms open }
trust { tolerate 1 colluding party }
person { key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }
columns { sex category { female, male } }
panel few expression log2 0..20 { G0, G1, G2, G3, G4, G5 }
privacy { add or remove one person; epsilon 1; delta 1e-6 }
measure { marginal sex * few in 3 equal bins; marginal pairs of few in 3 equal bins }
release { measurements to silos }
"""


def test_every_encoder_map_and_share_is_of_integers(planned: PlannedStudy) -> None:
    double_centred = plan_source(Source("spec.secgen", SAME_BINS), Path())
    met = [all_are_integers(study) for study in (planned, double_centred)]
    registered = {encode.dispatch(kind) for kind in encode.registry if kind is not object}
    ours = {encoder for encoder in registered if encoder.__module__.startswith("secgen_dsl")}
    assert set().union(*(encoders for encoders, _ in met)) == ours
    assert set().union(*(maps for _, maps in met)) == set(LINEAR_MAPS)


def all_are_integers(planned: PlannedStudy) -> tuple[set[object], set[str]]:
    """Follow every release of a plan; returns the encoders and the maps that were met."""
    plan = planned.plan
    opened = run_plaintext(
        plan, {silo.name: some_people(planned, 0) for silo in plan.program.silos}
    )
    edges = with_learned_edges(plan, {each.query: each.values for each in opened.measurements})
    met: set[object] = set()
    for release in plan.releases():
        query = plan.query(release.query)
        if query not in plan.added:
            query = as_table(edges.query(release.query))
        met.add(encode.dispatch(type(query)))
        for rows in (0, 1, 50):
            x = raw_cells(edges, query, some_people(planned, rows))
            z = draw_cells(SystemNoise(), release).reshape(x.shape)
            y = apply_map(release.map, x + z)
            assert {x.dtype, z.dtype, y.dtype} == {np.dtype(np.int64)}, release.query
        shares = split(y, plan.threshold, len(plan.parties))
        assert {share.dtype for share in shares} == {np.dtype(np.uint64)}
    return met, {release.map for release in plan.releases()}
