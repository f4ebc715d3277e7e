import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.program import Reference
from secgen_dsl.synthesis.reference import read_reference, read_references

from .studies import column, marginal, panel, program

TEXT = "sample,A,B\ns1,1.5,2\ns2,,3\ns3,4,-1e-1\n"


def written(tmp_path: Path, data: bytes | str, name: str = "ref.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def failure(path: Path, *genes: str, sha256: str | None = None) -> Diagnostic:
    with pytest.raises(SecgenError) as raised:
        read_reference(path, genes, sha256=sha256)
    found = raised.value.diagnostics[0]
    assert found.next_step
    assert str(path) in found.place
    return found


@pytest.mark.parametrize("form", ["csv", "tsv", "gzip", "crlf and mark"])
def test_tables_of_every_form(tmp_path: Path, form: str) -> None:
    data = TEXT.encode()
    if form == "tsv":
        data = TEXT.replace(",", "\t").encode()
    elif form == "gzip":
        data = gzip.compress(data)
    elif form == "crlf and mark":
        data = ("\ufeff" + TEXT.replace("\n", "\r\n")).encode()
    path = written(tmp_path, data)
    read = read_reference(path, ["B", "A"], sha256=hashlib.sha256(data).hexdigest())
    np.testing.assert_array_equal(read["A"], [1.5, np.nan, 4])
    np.testing.assert_array_equal(read["B"], [2, 3, -0.1])


def test_changed_bytes_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    pinned = hashlib.sha256(TEXT.encode()).hexdigest()
    read_reference(path, ["A"], sha256=pinned)
    path.write_text(TEXT.replace("1.5", "1.6"), encoding="utf-8")
    assert failure(path, "A", sha256=pinned).code == "SG603"


def test_an_absent_gene_is_named_or_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace("A", "MLH1"))
    found = failure(path, "MHL1")
    assert found.code == "SG604"
    assert 'did you mean "MLH1"?' in found.next_step
    assert read_reference(path, ["MHL1", "B"], skip_absent=True).keys() == {"B"}


@pytest.mark.parametrize("text", ["high", "1,5", "inf", "0x1"])
def test_what_is_no_number_is_shown_with_its_line(tmp_path: Path, text: str) -> None:
    found = failure(written(tmp_path, f'sample,A\ns1,1\ns2,"{text}"\n'), "A")
    assert found.code == "SG605"
    assert text in found.message
    assert found.place.endswith(":3")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"only one column\n1\n",
        b"\xff\xfe\x00\x9d",
        b"\x1f\x8bdamaged",
        gzip.compress(TEXT.encode(), mtime=0)[:-9],
        b"sample,A\ns1,1,2\n",
        b"sample,A,A\ns1,1,2\n",
        b'sample,A\ns1,"1\n',
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes) -> None:
    assert failure(written(tmp_path, data), "A").code == "SG602"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    found = failure(tmp_path / "absent.csv", "A")
    assert found.code == "SG602"
    assert "No such file" in found.message


def test_references_of_a_program(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    genes = panel("p", ["A", "C"])
    pinned = hashlib.sha256(TEXT.encode()).hexdigest()
    study = program(
        [column("x", "1", "2")],
        [marginal(["x"], "p", [[1.0], [1.0]])],
        [genes, panel("other", ["B"], unit="counts")],
        [Reference(name="elsewhere", unit="log2", sha256=pinned, provenance="")],
    )
    # C is not in the file, B is in a panel of another unit.
    assert read_references(study, {"elsewhere": path})["elsewhere"].keys() == {"A"}
    with pytest.raises(SecgenError) as raised:
        read_references(study, {})
    assert raised.value.diagnostics[0].code == "SG606"
