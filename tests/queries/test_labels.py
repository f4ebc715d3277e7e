"""Label texts compare as trimmed text, numeric texts as numbers; the rest is `else` or nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.ir.labels import label_key
from secgen_dsl.queries.labels import NO_CELL, column_codes, label_cells
from tests.site_programs import GRADE, SEX, SUBTYPE, make_table


@pytest.mark.parametrize(
    ("one", "other"),
    [("0", "0.0000"), ("0", "-0"), ("2.5", " 2.50 "), ("1e1", "10"), (".5", "0.50"), ("x", " x")],
)
def test_equal_labels(one: str, other: str) -> None:
    assert label_key(one) == label_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0", "O"),
        ("yes", "Yes"),
        ("1", "1x"),
        ("10", "1_0"),
        ("1", "١"),  # ARABIC-INDIC DIGIT ONE is text
        ("NaN", "nan"),
        ("0.1", "0.10000000000000000000000000000001"),  # equal as floats, not as numbers
        ("1e999999999999999999999", "1e999999999999999999998"),
    ],
)
def test_different_labels(one: str, other: str) -> None:
    assert label_key(one) != label_key(other)


@given(st.text(max_size=40))
def test_every_text_has_a_key(text: str) -> None:
    assert label_key(text) == label_key(f"  {text}\t")
    assert hash(label_key(text)) is not None


def test_codes() -> None:
    texts = np.array(["MSI", " CIN ", "", "HM-SNV", "cin"])
    assert column_codes(SUBTYPE, texts).tolist() == [2, 0, 3, 3, 3]
    assert column_codes(SEX, np.array(["male", "", "f"])).tolist() == [1, NO_CELL, NO_CELL]
    assert column_codes(GRADE, np.array(["0.0", "2.50", "1", "3"])).tolist() == [0, 2, 1, NO_CELL]
    assert column_codes(SEX, np.array([], dtype=np.str_)).tolist() == []


def test_the_index_runs_fastest_over_the_last_column() -> None:
    table = make_table(
        {"sex": ["male", "female", "?", "male"], "subtype": ["CIN", "MSI", "GS", "nonsense"]}, {}
    )
    assert label_cells([SEX, SUBTYPE], table).tolist() == [4, 2, NO_CELL, 7]
    assert label_cells([SUBTYPE, SEX], table).tolist() == [1, 4, NO_CELL, 7]
    assert label_cells([], table).tolist() == [0, 0, 0, 0]
