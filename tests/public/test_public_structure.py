"""What public files give beside bins: gene sets, correlated pairs, aligned values."""

import gzip
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import Bridge, Reference
from secgen_dsl.public.aligned import aligned_values, bridge_key
from secgen_dsl.public.correlation import most_correlated
from secgen_dsl.public.files import public_file
from secgen_dsl.public.sets import gene_sets


def sets_of(text: str) -> dict[str, tuple[str, ...]]:
    return gene_sets(public_file(Path("sets.gmt"), "sets.gmt", text.encode()))


def test_gene_sets() -> None:
    text = "\ufeffONE\thttp://x\tA\tB\tA\r\n\r\nTWO\t\tB\t\tC\n"
    assert sets_of(text) == {"ONE": ("A", "B"), "TWO": ("B", "C")}
    packed = public_file(Path("s"), "s", gzip.compress(b"ONE\tx\tA\n"))
    assert gene_sets(packed) == {"ONE": ("A",)}


@pytest.mark.parametrize("text", ["ONE\tA\n", "ONE,x,A\n", "ONE\tx\tA\nONE\tx\tB\n", "\tx\tA\n"])
def test_gene_sets_that_are_none(text: str) -> None:
    with pytest.raises(SecgenError) as caught:
        sets_of(text)
    assert caught.value.diagnostics[0].code == "SG213"


@given(st.integers(0, 2**32), st.integers(3, 40), st.integers(2, 8))
def test_the_most_correlated_pairs_are_those_of_numpy(seed: int, samples: int, genes: int) -> None:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(8, 2, (genes, genes)) @ rng.normal(0, 1, (genes, samples)) + 8
    names = [f"G{k}" for k in range(genes)]
    pairs = list(combinations(range(genes), 2))
    keep = max(1, len(pairs) // 2)
    found = most_correlated(dict(zip(names, mixed, strict=True)), names, pairs, keep)
    strength = np.abs(np.corrcoef(mixed))
    least = min(strength[pair] for pair in found)
    assert found == sorted(found)
    assert len(found) == keep
    assert all(strength[pair] <= least + 1e-6 for pair in set(pairs) - set(found))


def test_pairs_of_flat_and_missing_genes() -> None:
    values = {
        "flat": np.full(4, 7.0),
        "up": np.array([1.0, 2.0, np.nan, 4.0]),
        "down": np.array([4.0, 3.0, 2.0, 1.0]),
        "all missing": np.full(4, np.nan),
    }
    pairs = list(combinations(range(4), 2))
    assert most_correlated(values, list(values), pairs, 1) == [(1, 2)]
    assert most_correlated(values, list(values), pairs, 6) == pairs


def csv_file(name: str, columns: dict[str, list[float]]) -> object:
    rows = zip(*columns.values(), strict=True)
    text = ",".join(columns) + "\n" + "\n".join(",".join(map(str, row)) for row in rows)
    return public_file(Path(name), name, text.encode())


REFERENCE = Reference(name="r", unit="log2_fpkm", sha256="", provenance="", aligned_by="b")


@pytest.mark.parametrize("units", [("log2_fpkm", "vst"), ("vst", "log2_fpkm")])
def test_a_bridge_takes_values_to_the_other_unit(units: tuple[str, str]) -> None:
    bridge = Bridge(name="b", units=units, sha256=("", ""), provenance="")
    files = {
        "r": csv_file("r.csv", {"A": [1, 2, 3], "B": [0, 0, 1]}),
        bridge_key("b", "log2_fpkm"): csv_file("f.csv", {"A": [0, 1, 2], "B": [1, 2, 3]}),
        bridge_key("b", "vst"): csv_file("v.csv", {"A": [7, 9, 11], "B": [1, 2, 3]}),
    }
    values = aligned_values(REFERENCE, bridge, files, ["A", "B"])  # type: ignore[arg-type]
    assert values["A"] == pytest.approx([9, 11, 13])
    assert values["B"] == pytest.approx([0, 0, 1])


def test_a_bridge_in_which_a_gene_does_not_vary() -> None:
    bridge = Bridge(name="b", units=("log2_fpkm", "vst"), sha256=("", ""), provenance="")
    same = csv_file("f.csv", {"A": [1, 1, 1]})
    files = {
        "r": csv_file("r.csv", {"A": [1, 2, 3]}),
        bridge_key("b", "log2_fpkm"): same,
        bridge_key("b", "vst"): csv_file("v.csv", {"A": [7, 9, 11]}),
    }
    with pytest.raises(SecgenError, match="cannot align A") as caught:
        aligned_values(REFERENCE, bridge, files, ["A"])  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == "SG214"
