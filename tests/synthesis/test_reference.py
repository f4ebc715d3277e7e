"""Public tables as synthesis reads them: hashes, units, bridges, number columns."""

from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import Bridge, Program
from secgen_dsl.public.aligned import bridge_key
from secgen_dsl.public.files import PublicFile, read_public_file
from secgen_dsl.synthesis.reference import (
    public_cells,
    read_label_codes,
    read_numbers,
    read_references,
)

from .studies import column, marginal, number, panel, program, reference


def written(folder: Path, name: str, text: str) -> PublicFile:
    (folder / name).write_text(text, encoding="utf-8")
    return read_public_file(folder, name)


def bridged(folder: Path) -> tuple[Program, dict[str, PublicFile]]:
    """A reference in log2_fpkm, a panel in log2, and the same four samples in both."""
    far = written(folder, "far.csv", "sample,A,B,age\ns1,0,2,61\ns2,1,2,40\ns3,2,8,\n")
    first = written(folder, "first.csv", "sample,A\nx,0\ny,1\nz,2\nw,3\n")
    second = written(folder, "second.csv", "sample,A\nx,8\ny,10\nz,12\nw,14\n")
    bridge = Bridge(
        name="both",
        units=("log2_fpkm", "log2"),
        sha256=(first.sha256, second.sha256),
        provenance="",
    )
    study = program(
        [number("age", "18", "100", ["50"], reference="far")],
        [marginal(["age"], "p", [[9.0], [9.0]])],
        [panel("p", ["A", "B"]), panel("raw", ["A"], unit="log2_fpkm")],
        [reference("far", "log2_fpkm", far.sha256, aligned_by="both")],
        [bridge],
    )
    files = {
        "far": far,
        bridge_key("both", "log2_fpkm"): first,
        bridge_key("both", "log2"): second,
    }
    return study, files


def test_a_bridge_takes_a_reference_to_the_panels_unit(tmp_path: Path) -> None:
    study, files = bridged(tmp_path)
    values = read_references(study, files)["far"]
    # 8 + 2x by the bridge; B is not in it.
    assert values.keys() == {"A"}
    np.testing.assert_allclose(values["A"], [8, 10, 12])


def test_a_gene_that_the_bridge_cannot_align_is_left_out(tmp_path: Path) -> None:
    """The compiler may never have asked for it: after a run it is no reason to fail."""
    study, files = bridged(tmp_path)
    flat = written(tmp_path, "flat.csv", "sample,A\nx,8\ny,8\nz,8\nw,8\n")
    bridge = study.bridges[0].model_copy(
        update={"sha256": (study.bridges[0].sha256[0], flat.sha256)}
    )
    study = study.model_copy(update={"bridges": (bridge,)})
    assert read_references(study, files | {bridge_key("both", "log2"): flat})["far"] == {}


def test_number_columns_are_read_as_they_stand(tmp_path: Path) -> None:
    study, files = bridged(tmp_path)
    np.testing.assert_array_equal(read_numbers(study, files)["age"], [61, 40, np.nan])


def labelled(folder: Path) -> tuple[Program, dict[str, PublicFile]]:
    rows = ["id,sex,A,stage", "1,m,5,II", "2,f,6,I", "3,,7,I", "4,f,8,?", "5,m,,I"]
    file = written(folder, "far.csv", "\n".join(rows))
    far = reference("far", sha256=file.sha256).model_copy(update={"labelled_by": ("stage", "sex")})
    study = program(
        [column("stage", "I", "II"), column("sex", "m", "f"), column("grade", "1", "2")],
        [marginal(["sex"], "p", [[9.0]])],
        [panel("p", ["A"])],
        [far, reference("bare", sha256=file.sha256)],
    )
    return study, {"far": file, "bare": file}


def test_labels_are_in_the_order_of_the_values(tmp_path: Path) -> None:
    study, files = labelled(tmp_path)
    codes = read_label_codes(study, files)
    assert codes.keys() == {"far"}
    assert codes["far"]["stage"].tolist() == [1, 0, 0, -1, 0]
    assert codes["far"]["sex"].tolist() == [0, 1, -1, 1, 0]
    assert read_references(study, files)["far"]["A"].shape == codes["far"]["sex"].shape
    for columns, cells in (
        (["sex"], [0, 1, -1, 1, 0]),
        (["stage", "sex"], [2, 1, -1, -1, 0]),
        (["sex", "stage"], [1, 2, -1, -1, 0]),
    ):
        found = public_cells(study, columns, codes["far"])
        assert found is not None
        assert found.tolist() == cells
    assert public_cells(study, ["sex", "grade"], codes["far"]) is None
    assert public_cells(study, [], codes["far"]) is None
    with pytest.raises(SecgenError) as raised:
        read_label_codes(study, files | {"far": written(tmp_path, "far.csv", "id,sex\n")})
    assert raised.value.diagnostics[0].code == "SG603"


@pytest.mark.parametrize("unit", ["log2_fpkm", "log2"])
def test_the_bridges_files_are_pinned_too(tmp_path: Path, unit: str) -> None:
    study, files = bridged(tmp_path)
    key = bridge_key("both", unit)
    changed = files | {key: written(tmp_path, "changed.csv", "sample,A\nx,0\ny,1\nz,5\n")}
    with pytest.raises(SecgenError) as raised:
        read_references(study, changed)
    assert raised.value.diagnostics[0].code == "SG603"
    assert raised.value.diagnostics[0].place == "changed.csv"
    absent = {name: file for name, file in files.items() if name != key}
    with pytest.raises(SecgenError) as raised:
        read_references(study, absent)
    found = raised.value.diagnostics[0]
    assert found.code == "SG606"
    assert key in found.message
