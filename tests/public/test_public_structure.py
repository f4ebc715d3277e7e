"""What public files give beside bins: gene sets, correlated pairs, aligned values."""

import gzip
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import Bridge, Reference
from secgen_dsl.public.aligned import Matched, aligned_values, bridge_key, matched_samples
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


TEXTS = {
    "log2_fpkm": "sample,A,B\nx,0,1\ny,1,\nz,2,5\nw,9,9\n",
    "vst": "sample\tA\tB\nz\t11\t7\ny\t9\t6\nx\t7\t5\nv\t1\t1\n",
}


def bridged(
    texts: dict[str, str], genes: list[str]
) -> tuple[dict[str, NDArray[np.float64]], Matched]:
    """Aligned values of ``genes``, and how the rows of the bridge were matched."""
    bridge = Bridge(name="b", units=("log2_fpkm", "vst"), sha256=("", ""), provenance="")
    files = {
        bridge_key("b", unit): public_file(Path(f"{unit}.txt"), f"{unit}.txt", text.encode())
        for unit, text in texts.items()
    }
    table = csv_file("r.csv", {"A": [1, 2, 3], "B": [1, 2, 3]})
    values = aligned_values(REFERENCE, bridge, {"r": table, **files}, genes, skip_absent=True)  # type: ignore[dict-item]
    return values, matched_samples(*files.values(), genes)


def test_a_bridge_is_matched_by_names() -> None:
    """The order does not matter; who is in one file only, or lacks a value, does not count."""
    values, matched = bridged(TEXTS, ["A", "B"])
    assert values["A"] == pytest.approx([9, 11, 13])
    assert "B" not in values
    assert matched.first.tolist() == [0, 1, 2]
    assert matched.second.tolist() == [2, 1, 0]
    assert matched.remark == "only 3 samples are in both, of 4 and 4"


@pytest.mark.parametrize(
    ("fpkm", "vst", "said"),
    [
        ("sample,A\nx,0\ny,1\nz,2\n", "sample,A\nx,0\ny,1\nw,2\n", "share 2 of 3 and 3"),
        ("A\n0\n1\n2\n", "A\n7\n9\n11\n8\n", "have 3 and 4 rows"),
        (",A\n0,0\n1,1\n2,2\n", ",A\n0,7\n1,9\n2,11\n3,8\n", "have 3 and 4 rows"),
        ("", "A\n7\n", "have 0 and 1 rows"),
    ],
    ids=["two shared", "without names", "numbered", "empty"],
)
def test_a_bridge_of_other_people(fpkm: str, vst: str, said: str) -> None:
    with pytest.raises(SecgenError, match=said) as caught:
        bridged({"log2_fpkm": fpkm, "vst": vst}, ["A"])
    assert caught.value.diagnostics[0].code == "SG225"


@pytest.mark.parametrize(
    "columns",
    [
        "A,B\n3,1\n1,2\n2,3",
        "row,A\n1,3\n2,1\n3,2",
        "site,A\nx,3\nx,1\nx,2",
        "C,A\n.5,3\n2,1\n3,2",
        "C,A\n9.0,3\n2.0,1\n3.0,2",
    ],
)
def test_rows_without_names_are_taken_in_order(columns: str) -> None:
    """Genes, numberings, repeated words and measured values are no names."""
    values, matched = bridged({"log2_fpkm": columns, "vst": columns.replace("3\n", "4\n")}, ["A"])
    assert "has no names of samples" in matched.remark
    assert matched.first.tolist() == [0, 1, 2]
    assert len(values["A"]) == 3


def test_whole_numbers_are_names_if_both_files_have_them() -> None:
    """Else they are counts of a gene that nobody asks for."""
    texts = {"log2_fpkm": "C,A\n5,0\n7,1\n9,2", "vst": "C,A\n9,11\n7,9\n5,7"}
    _, matched = bridged(texts, ["A"])
    assert (matched.second.tolist(), matched.remark) == ([2, 1, 0], "")
    _, matched = bridged(texts | {"vst": "C,A\n50,7\n70,9\n90,11"}, ["A"])
    assert matched.second.tolist() == [0, 1, 2]
    assert "has no names of samples" in matched.remark
