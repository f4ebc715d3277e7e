import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.public.files import PublicFile, read_public_file
from secgen_dsl.public.reference import reference_values
from secgen_dsl.synthesis.reference import read_references
from tests.synthesis.studies import column, marginal, panel, program, reference

TEXT = "sample,A,B\ns1,1.5,2\ns2,,3\ns3,4,-1e-1\n"


def written(tmp_path: Path, data: bytes | str) -> PublicFile:
    (tmp_path / "ref.csv").write_bytes(data.encode() if isinstance(data, str) else data)
    return read_public_file(tmp_path, "ref.csv")


def failure(file: PublicFile, *genes: str) -> Diagnostic:
    with pytest.raises(SecgenError) as raised:
        reference_values(file, genes)
    found = raised.value.diagnostics[0]
    assert found.next_step
    assert "ref.csv" in found.place
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
    file = written(tmp_path, data)
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    read = reference_values(file, ["B", "A"])
    np.testing.assert_array_equal(read["A"], [1.5, np.nan, 4])
    np.testing.assert_array_equal(read["B"], [2, 3, -0.1])


def test_an_absent_gene_is_named_or_left_out(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT.replace("A", "MLH1"))
    found = failure(file, "MHL1")
    assert found.code == "SG214"
    assert failure(file, *"PQRSTU").as_json()["names"] == [*"PQRSTU"]
    assert "MLH1" not in found.next_step  # a similar name is another gene: MSH2, MSX2
    assert 'the table has "MLH1"' in failure(file, "mlh1").next_step
    assert reference_values(file, ["MHL1", "B"], skip_absent=True).keys() == {"B"}


@pytest.mark.parametrize("text", ["high", "1,5", "inf", "0x1"])
def test_what_is_no_number_is_shown_with_its_line(tmp_path: Path, text: str) -> None:
    found = failure(written(tmp_path, f'sample,A\ns1,1\ns2,"{text}"\n'), "A")
    assert found.code == "SG213"
    assert text in found.message
    assert found.place.endswith("row 3")


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
    assert failure(written(tmp_path, data), "A").code in ("SG213", "SG214")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecgenError) as raised:
        read_public_file(tmp_path, "absent.csv")
    assert raised.value.diagnostics[0].code == "SG213"
    assert "no such file" in raised.value.diagnostics[0].message


def test_references_of_a_program(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT)
    genes = panel("p", ["A", "C"])
    study = program(
        [column("x", "1", "2")],
        [marginal(["x"], "p", [[1.0], [1.0]])],
        [genes, panel("other", ["B"], unit="counts")],
        [reference("elsewhere", sha256=file.sha256)],
    )
    # C is not in the file, B is in a panel of another unit.
    assert read_references(study, {"elsewhere": file})["elsewhere"].keys() == {"A"}
    with pytest.raises(SecgenError) as raised:
        read_references(study, {})
    assert raised.value.diagnostics[0].code == "SG606"
    changed = written(tmp_path, TEXT.replace("1.5", "1.6"))
    with pytest.raises(SecgenError) as raised:
        read_references(study, {"elsewhere": changed})
    assert raised.value.diagnostics[0].code == "SG603"


def test_semicolons_are_named(tmp_path: Path) -> None:
    found = failure(written(tmp_path, TEXT.replace(",", ";")), "A")
    assert found.code == "SG213"
    assert "separated by commas or tabs" in found.message
