"""Label columns of public tables: codes, people without a label, and what is refused."""

from pathlib import Path

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.public.labels import reference_labels
from tests.public.test_reference import written
from tests.synthesis.studies import column

TEXT = "subtype\tstage\tA\n CIN\t1.0\t3\nGS \t02\t4\ncin\tNA\t5\n\nCIN\t\t\n"
SUBTYPE = column("subtype", "GS", "CIN")
STAGE = column("stage", "1", "2", "not stated").model_copy(update={"otherwise": "not stated"})


def test_texts_are_compared_as_those_of_patients(tmp_path: Path) -> None:
    labels = reference_labels(written(tmp_path, TEXT), [STAGE, SUBTYPE])
    assert labels["subtype"].codes.tolist() == [1, 0, -1, 1]
    assert labels["subtype"].words == 'GS 1, CIN 2, 1 without ("cin" 1)'
    # Why a label is unknown differs between patients and a public table: no value for those.
    assert labels["stage"].codes.tolist() == [0, 1, -1, -1]
    assert labels["stage"].words == "1 1, 2 1, 2 without (missing 2)"


def test_the_most_frequent_other_words_are_shown(tmp_path: Path) -> None:
    others = [f"w{k}" for k in range(9)] + ["often\x1b"] * 2
    text = "\n".join(["subtype,A", "CIN,1", *(f"{word},1" for word in others)])
    words = reference_labels(written(tmp_path, text), [SUBTYPE])["subtype"].words
    shown = '"often\ufffd" 2, "w0" 1, "w1" 1, "w2" 1, "w3" 1 and 5 more'
    assert words == f"GS 0, CIN 1, 11 without ({shown})"


@pytest.mark.parametrize(
    ("text", "code", "says", "step"),
    [
        ("Subtype,A\nCIN,1\n", "SG214", "no column", 'did you mean "Subtype"?'),
        ("id,SUBTYP,A\nx,1,1\n", "SG214", "no column", 'its columns of words are "id";'),
        ("subtype,A\n", "SG224", "the column holds nothing", "a copy of the table"),
        ("subtype,A\nMSI,1\n,2\n", "SG224", 'holds "MSI" 1, missing 1;', "a copy of the table"),
        ("subtype,subtype\nCIN,GS\n", "SG213", "two columns", "keep one"),
        ("subtype,A\nCIN\n", "SG213", "1 fields", "mend the row"),
    ],
)
def test_refused(tmp_path: Path, text: str, code: str, says: str, step: str) -> None:
    with pytest.raises(SecgenError) as raised:
        reference_labels(written(tmp_path, text), [SUBTYPE])
    (found,) = raised.value.diagnostics
    assert found.code == code
    assert says in found.message
    assert step in found.next_step
    assert "ref.csv" in found.place


def test_else_alone_is_no_match(tmp_path: Path) -> None:
    with pytest.raises(SecgenError) as raised:
        reference_labels(written(tmp_path, "stage,A\nIII,1\n,2\n"), [STAGE])
    assert raised.value.diagnostics[0].code == "SG224"
