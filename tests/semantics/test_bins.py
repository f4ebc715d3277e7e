"""Edges of bins against an oracle in exact fractions, and the tables that they come from."""

import gzip
import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.public.files import gene_list, read_public_file
from secgen_dsl.public.reference import reference_values
from secgen_dsl.semantics.bins import equal_edges, reference_edges
from secgen_dsl.semantics.resolve import resolve
from secgen_dsl.syntax.parser import parse, read_source
from secgen_dsl.synthesis.reference import read_references

LOW, HIGH = Fraction(0), Fraction(20)


def oracle(values: list[float], bins: int) -> list[Fraction]:
    """Type 7 quantiles by their definition: the piecewise linear map i/(n − 1) → i-th value."""
    exact = sorted(Fraction(value) for value in values)
    edges = []
    for k in range(1, bins):
        at = Fraction(k, bins)
        n = len(exact)
        knots = [Fraction(i, n - 1) if n > 1 else Fraction(0) for i in range(n)]
        for i in range(n):
            if i == n - 1 or knots[i + 1] > at:
                break
        found = exact[i]
        if i < n - 1:
            found += (at - knots[i]) / (knots[i + 1] - knots[i]) * (exact[i + 1] - exact[i])
        scaled = found * 10_000
        floor = math.floor(scaled)
        rest = scaled - floor
        up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1)
        edges.append(min(max(Fraction(floor + up, 10_000), LOW), HIGH))
    return edges


VALUES = st.one_of(
    st.floats(-5, 25),
    st.integers(0, 3).map(float),  # ties
    st.integers(0, 200_000).map(lambda n: n / 20_000),  # halves of the last digit
)


@given(st.integers(2, 12), st.lists(VALUES, min_size=12, max_size=40), st.randoms())
def test_quantile_edges_equal_the_oracle(bins: int, values: list[float], random) -> None:  # type: ignore[no-untyped-def]
    edges = reference_edges(values, LOW, HIGH, bins)
    assert list(edges) == oracle(values, bins)
    assert list(edges) == sorted(edges)
    shuffled = list(values)
    random.shuffle(shuffled)
    assert reference_edges(shuffled, LOW, HIGH, bins) == edges


def test_a_constant_gene_has_equal_edges() -> None:
    assert reference_edges([7.25] * 9, LOW, HIGH, 4) == (Fraction(29, 4),) * 3


def test_known_quartiles() -> None:
    assert reference_edges([1.0, 2.0, 3.0, 4.0], LOW, HIGH, 4) == (
        Fraction(7, 4),
        Fraction(5, 2),
        Fraction(13, 4),
    )


def test_values_beyond_the_range_give_edges_at_its_ends() -> None:
    assert reference_edges([-9.0] * 5, LOW, HIGH, 2) == (LOW,)
    assert reference_edges([99.0] * 5, LOW, HIGH, 2) == (HIGH,)


def test_too_few_values() -> None:
    with pytest.raises(ValueError, match="fewer"):
        reference_edges([1.0, 2.0], LOW, HIGH, 3)


@given(st.integers(2, 64), st.fractions(0, 10, max_denominator=100), st.integers(1, 50))
def test_equal_edges_cut_equally(bins: int, low: Fraction, width: int) -> None:
    edges = [low, *equal_edges(low, low + width, bins), low + width]
    assert {b - a for a, b in pairwise(edges)} == {Fraction(width, bins)}


# ---- public files ------------------------------------------------------------------------------


def table(tmp_path: Path, text: str | bytes) -> Path:
    (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


def read(folder: Path, *genes: str) -> dict[str, list[float]]:
    values = reference_values(read_public_file(folder, "t.csv"), genes)
    return {gene: column[~np.isnan(column)].tolist() for gene, column in values.items()}


def code_of(folder: Path, *genes: str) -> tuple[str, str]:
    with pytest.raises(SecgenError) as error:
        read(folder, *genes)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.next_step
    return diagnostic.code, diagnostic.place


def test_missing_cells_are_left_out(tmp_path: Path) -> None:
    text = "id,A,B\ns1,1.5,NA\ns2,,nan\ns3,N/A,None\n\ns4,-2,3e1\ns5,,\n"
    assert read(table(tmp_path, text), "B", "A") == {"A": [1.5, -2.0], "B": [30.0]}


@pytest.mark.parametrize("encode", [bytes, gzip.compress, lambda data: b"\xef\xbb\xbf" + data])
def test_tables_plain_or_packed_with_tabs_or_commas(tmp_path: Path, encode) -> None:  # type: ignore[no-untyped-def]
    assert read(table(tmp_path, encode(b"id\tA\r\ns\t2\r\n")), "A") == {"A": [2.0]}
    assert read(table(tmp_path, encode(b'id,"A"\ns,"2"\n')), "A") == {"A": [2.0]}


def test_numbers_are_the_nearest_doubles(tmp_path: Path) -> None:
    assert read(table(tmp_path, "A\n0.1\n"), "A") == {"A": [0.1]}


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("id,A\ns1,1\ns2,high\n", "SG213", "t.csv, row 3"),
        ("id,B\ns1,1\n", "SG214", "t.csv"),
        ("", "SG214", "t.csv"),
        (b"\x1f\x8bbroken", "SG213", "t.csv"),
        (gzip.compress(b"id,A\n1,2\n", mtime=0)[:-9], "SG213", "t.csv"),
        (b"id,A\n\xff,1\n", "SG213", "t.csv"),
        ("id,A\ns1,0x1p3\n", "SG213", "t.csv, row 2"),
        ("id,A\ns1,inf\n", "SG213", "t.csv, row 2"),
        ("id,A\ns1\n", "SG213", "t.csv, row 2"),
        ("id,A,A\ns1,1,2\n", "SG213", "t.csv, row 1"),
    ],
)
def test_tables_that_cannot_be_used(
    tmp_path: Path, text: str | bytes, code: str, place: str
) -> None:
    assert code_of(table(tmp_path, text), "A") == (code, place)


def test_gene_lists(tmp_path: Path) -> None:
    text = '# genes\nMLH1, MSH2\tMSH6\n\n"PMS2"  # the last but one\r\nEPCAM'
    (tmp_path / "g.txt").write_text(text)
    assert gene_list(read_public_file(tmp_path, "g.txt")) == (
        "MLH1", "MSH2", "MSH6", "PMS2", "EPCAM",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["missing.txt", ".", "a/b", "x" * 300])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecgenError) as error:
        read_public_file(tmp_path, name)
    assert [d.code for d in error.value.diagnostics] == ["SG213"]


def test_values_are_compared_as_the_encoder_compares_them() -> None:
    from secgen_dsl.ir.labels import label_key
    from tests.study import complete, meaning_faults

    for first, second in (
        *(("0", "0.0"), ("1", "1e0"), ("10", "1e1"), ("1/2", "2/4"), ("1_0", "10")),
        *(("1", "2"), ("a", "A"), ("1e3", "1000"), ("1.", "1"), ("+1", "1"), ("01", "1")),
    ):
        spec = complete(f'columns {{ subtype category {{ "{first}", "{second}", unknown }} }}')
        clash = any(d.code == "SG207" for d in meaning_faults(spec))
        assert clash == (label_key(first) == label_key(second)), (first, second)


def test_a_gene_that_is_constant_in_the_reference_is_a_warning(tmp_path: Path) -> None:
    table(tmp_path, "A,B,C\n" + "\n".join(f"7,{n},{n}" for n in range(8)) + "\n")
    text = STUDY.format(file="t.csv")
    (tmp_path / "s.secgen").write_text(text, encoding="utf-8")
    source = read_source(tmp_path / "s.secgen")
    (warning,) = resolve(parse(source), source, tmp_path).warnings
    assert (warning.code, warning.severity) == ("SG310", "warning")
    assert "some bins of A can hold nobody" in warning.message


@pytest.mark.parametrize(
    ("reference", "bins", "places"),
    [
        # No bins are of C, or of the table at all: the synthesis reads it nevertheless.
        ("A,B,C\n1,2,3\n2,3,high\n3,4,5\n4,5,6\n5,6,7\n", "p.A in 4 bins from far", [3]),
        ("A,B,C\n1,2,3\n2,3,high\n", "p in 4 equal bins", [3]),
        ("A,B\n1,2\n2,3,4\n", "p in 4 equal bins", [3]),
        ("X,Y\n1,2\n2\n", "p in 4 equal bins", [3]),
        # Told once where the bins need it.
        ("A,B,C\n1,2,3\n2,3,high\n", "p in 4 bins from far", [3]),
        # Other columns are not looked at, and genes may be absent.
        ("A,B,note\n1,2,3\n2,3,high\n", "p in 4 equal bins", []),
    ],
)
@pytest.mark.parametrize("unit", ["log2", "vst"])
def test_references_are_read_to_their_end_before_a_run(
    tmp_path: Path, reference: str, bins: str, places: list[int], unit: str
) -> None:
    if unit == "vst" and "from" in bins:
        pytest.skip("the bins need a table in the panel's unit")
    table(tmp_path, reference)
    text = STUDY.format(file="t.csv").replace("p in 4 bins from elsewhere", bins)
    text = text.replace("elsewhere", "far").replace('t.csv" log2', f't.csv" {unit}')
    (tmp_path / "s.secgen").write_text(text, encoding="utf-8")
    source = read_source(tmp_path / "s.secgen")
    if unit == "vst":  # no panel is in its unit: no cell is used, but the rows have to fit
        places = places if "high" not in reference else []
    if not places:
        study = resolve(parse(source), source, tmp_path)
        assert read_references(study.program, study.reference_files).keys() == {"far"}
        return
    with pytest.raises(SecgenError) as error:
        resolve(parse(source), source, tmp_path)
    found = error.value.diagnostics
    assert [each.code for each in found] == ["SG213"]
    assert [each.label for each in found] == [f"t.csv, row {place}" for place in places]
    assert found[0].span is not None


STUDY = """secgen 1
study "x" {{ purpose "x" }}
silos hold patients {{ a terms open; b terms open; c terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo }}
columns {{ x category {{ u, v }} }}
public elsewhere from "{file}" log2
panel p expression log2 0..20 {{ A, B, C }}
privacy {{ add or remove one person; epsilon 1; delta 1e-6 }}
measure {{ marginal x * p in 4 bins from elsewhere }}
release {{ samples 10 to silos }}
"""
