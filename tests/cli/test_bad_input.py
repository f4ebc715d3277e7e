"""The "Bad input" list: faults of files end in diagnostics, faults of content let the run go on."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from secgen_dsl.cli.study import plan_spec
from secgen_dsl.runtime.site.read import read_site
from tests.cli.commands import Ended, secgen
from tests.conftest import SPECS
from tests.semantics.test_hashes import TEXTS

GENES = ["MLH1", "MSH2", "MSH6", "PMS2", "EPCAM"]
COLUMNS = ["patient", "subtype", "sex", *GENES]


def people(name: str, rows: int) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "patient": [f"{name}{i}" for i in range(rows)],
            "subtype": [("CIN", "GS", "MSI", "unknown")[i % 4] for i in range(rows)],
            "sex": [("female", "male")[i % 2] for i in range(rows)],
        }
    )
    for k, gene in enumerate(GENES):
        frame[gene] = [8 + (i * (k + 3) % 17) / 4 for i in range(rows)]
    return frame


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Study D with data of its own beside it."""
    (tmp_path / "data").mkdir()
    text = TEXTS["two_hospitals"].replace("europe.csv.gz", "north.csv").replace(".csv.gz", ".csv")
    (tmp_path / "d.secgen").write_text(text, encoding="utf-8")
    for name in ("north", "south"):
        people(name, 40).to_csv(tmp_path / "data" / f"{name}.csv", index=False)
    return tmp_path


def run(study: Path, backend: str = "plaintext") -> Ended:
    return secgen("run", study / "d.secgen", "--backend", backend, "--out", study / "out")


def north(study: Path) -> Path:
    return study / "data" / "north.csv"


def spoil(study: Path, fault: str) -> None:
    """Put a fault into the first silo's file."""
    path = north(study)
    frame = pd.read_csv(path)
    text = path.read_text()
    match fault:
        case "missing file":
            path.unlink()
        case "folder":
            path.unlink()
            path.mkdir()
        case "empty file":
            path.write_bytes(b"")
        case "random bytes":
            path.write_bytes(b"\x80" + os.urandom(5000))  # no text from the first byte on
        case "broken gzip":
            path.write_bytes(gzip.compress(text.encode())[:-20])
        case "semicolons":
            path.write_text(text.replace(",", ";"))
        case "spaces":
            path.write_text(text.replace(",", " "))
        case "no patient" | "no subtype" | "no MSH6":
            frame.drop(columns=fault[3:]).to_csv(path, index=False)
        case "a column twice":
            path.write_text(
                "\n".join(line + ",8.5" for line in text.splitlines()).replace(
                    "EPCAM,8.5", "EPCAM,MLH1", 1
                )
            )
        case "only long rows":
            header, *rows = text.splitlines()
            path.write_text("\n".join([header, *(f"{row},1" for row in rows)]))
        case "a short row" | "a long row":
            lines = text.splitlines()
            lines[3] = lines[3].rsplit(",", 2)[0] if "short" in fault else lines[3] + ",1,2"
            path.write_text("\n".join(lines))
        case "nan":
            frame.loc[3, "MLH1"] = float("nan")
            frame.loc[4, GENES] = float("nan")
            frame.to_csv(path, index=False)
        case "unknown labels":
            frame["subtype"] = "CMS5"
            frame["sex"] = "not stated"
            frame.to_csv(path, index=False)
        case "a patient twice":
            pd.concat([frame, frame]).to_csv(path, index=False)
        case "no row":
            frame.head(0).to_csv(path, index=False)
        case "one row":
            frame.head(1).to_csv(path, index=False)
        case "out of range":
            frame["MLH1"] = 1e9
            frame["MSH2"] = -1e9
            frame.to_csv(path, index=False)
        case "text for a number":
            frame["MLH1"] = "high"
            frame.to_csv(path, index=False)
        case "no patient's name":
            frame["patient"] = ""
            frame.to_csv(path, index=False)
        case "a header in latin-1":
            path.write_bytes(text.replace("EPCAM\n", "EPCAM,Größe\n").encode("latin-1"))
        case "crlf and a byte order mark":
            path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        case "infinite":
            frame.loc[:5, "MLH1"] = float("inf")
            frame.to_csv(path, index=False)
        case _:
            raise AssertionError(fault)


SHAPE = {
    "missing file": "SG411",
    "folder": "SG411",
    "empty file": "SG411",
    "random bytes": "SG411",
    "broken gzip": "SG411",
    "semicolons": "SG412",
    "spaces": "SG41",
    "no patient": "SG413",
    "no subtype": "SG413",
    "no MSH6": "SG414",
    "a column twice": "SG423",
    "only long rows": "SG416",
    "a header in latin-1": "SG411",
}
CONTENT = [
    "nan", "unknown labels", "a patient twice", "no row", "one row", "out of range",
    "text for a number", "no patient's name", "infinite", "a short row", "a long row",
    "crlf and a byte order mark",
]  # fmt: skip


@pytest.mark.parametrize("fault", SHAPE)
def test_faults_of_shape_stop_the_run(study: Path, fault: str) -> None:
    spoil(study, fault)
    ended = run(study)
    assert ended.code == 1
    assert all(code.startswith(SHAPE[fault]) for code in ended.codes()), ended.err
    assert "north.csv" in ended.err
    assert "next:" in ended.err
    assert "SG516" not in ended.err
    assert not (study / "out").exists()
    assert {path.name for path in study.iterdir()} == {"data", "d.secgen"}


@pytest.mark.parametrize("fault", CONTENT)
def test_faults_of_content_do_not(study: Path, fault: str) -> None:
    spoil(study, fault)
    ended = run(study)
    assert ended.code == 0, ended.err
    assert (study / "out" / "receipt.json").is_file()
    # Neither the files nor the terminal tell that anything was odd; noise may lose a value.
    assert set(re.findall(r"warning\[(\w+)\]", ended.err)) <= {"SG615"}


FILES = '[files]\nexpression = "data/north.csv"\n'
DESCRIPTIONS = {
    "two columns to one name": (FILES + '[columns]\nsubtype = "x"\nsex = "x"\n', "SG419"),
    "a circle of values": (FILES + '[values.subtype]\nCIN = "GS"\nGS = "CIN"\n', "SG419"),
    "an Ensembl table that holds symbols": (FILES + '[genes]\nsystem = "ensembl"\n', "SG422"),
    "a word that it does not have": (FILES + "[genes]\nsytem = 1\n", "SG418"),
    "latin-1": (FILES + '[cohort]\nid = "Köln"\n', "SG418"),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_bad_site_descriptions(study: Path, name: str) -> None:
    text, code = DESCRIPTIONS[name]
    (study / "site.toml").write_bytes(text.encode("latin-1"))
    data = (f"north={study / 'site.toml'}", f"south={study / 'data' / 'south.csv'}")
    for ended in (
        secgen("check-data", study / "d.secgen", "--site", study / "site.toml"),
        secgen("run", study / "d.secgen", "--backend", "plaintext", "--out", study / "out",
               "--data", data[0], "--data", data[1]),
    ):  # fmt: skip
        assert ended.code == 1, ended.out
        assert all(one.startswith(code) for one in ended.codes()), ended.err
    assert not (study / "out").exists()


def test_line_ends_and_a_byte_order_mark_change_no_count(study: Path) -> None:
    program = plan_spec(study / "d.secgen").plan.program
    before = read_site(program, north(study), b"key", "north")[0]
    spoil(study, "crlf and a byte order mark")
    after = read_site(program, north(study), b"key", "north")[0]
    assert before.rows == after.rows == 40
    for name, values in before.categories.items():
        assert values.tolist() == after.categories[name].tolist()


def test_shape_and_content_with_several_processes(study: Path) -> None:
    spoil(study, "no MSH6")
    ended = run(study, "mpyc")
    assert (ended.code, ended.codes()) == (1, ["SG414"]), ended.err
    # At most the noised inputs of the others are kept: the run goes on from them.
    if (study / "out").exists():
        assert [path.name for path in (study / "out").iterdir()] == ["parties"]
        kept = [path.name.rpartition("-")[0] for path in (study / "out/parties").iterdir()]
        assert set(kept) < {"north", "south", "university"}
        assert "north" not in kept
    people("north", 40).to_csv(north(study), index=False)
    spoil(study, "no row")
    ended = run(study, "mpyc")
    assert ended.code == 0, ended.err
    assert (study / "out" / "receipt.json").is_file()


@pytest.mark.parametrize("command", ["check", "plan", "describe", "run", "compile"])
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "SG102"),
        (b"\x00\xff" * 1000, "SG104"),
        (b"# " + b"x" * 10_000_000, "SG103"),
        (b"secgen 1\n", "SG201"),
        (b"secgen 1\nfoo { bar }\n", "SG111"),
    ],
    ids=["empty", "bytes", "10 MB", "no blocks", "unknown block"],
)
def test_bad_specs(tmp_path: Path, command: str, content: bytes, code: str) -> None:
    path = tmp_path / "x.secgen"
    path.write_bytes(content)
    out = ("-o", tmp_path / "out") if command in ("run", "compile", "describe") else ()
    ended = secgen(command, path, *out)
    assert ended.code == 1
    assert set(ended.codes()) == {code}
    assert "x.secgen" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("epsilon 1;", "epsilon 0;", "SG301"),
        ("delta 1e-5", "delta 1", "SG302"),
        ("helpers {", "# helpers {", "SG303"),
        ("MLH1, MSH2", "MLH1, MLH1", "SG207"),
        ("trust { tolerate 1 colluding party }", "", "SG201"),
        ("trust {", "truts {", "SG111"),
        ("secgen 1", "secgen 7", "SG113"),
    ],
)
def test_bad_studies(study: Path, old: str, new: str, code: str) -> None:
    path = study / "d.secgen"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    for ended in (run(study), secgen("check", path)):
        assert (ended.code, ended.codes()) == (1, [code])
        assert f"{path}:" in ended.err
    assert not (study / "out").exists()


def test_a_silo_without_data_and_one_that_does_not_exist(study: Path) -> None:
    path = study / "d.secgen"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("simulate")], encoding="utf-8")
    assert run(study).codes() == ["SG704", "SG704"]
    ended = secgen(
        "run",
        path,
        "--out",
        study / "out",
        "--data",
        f"nort={north(study)}",
        "--backend",
        "plaintext",
    )
    assert ended.codes() == ["SG704"] * 3
    assert 'did you mean "north"?' in ended.err
    assert not (study / "out").exists()


def test_a_path_with_spaces_and_unicode(study: Path) -> None:
    folder = study / "two words ü"
    folder.mkdir()
    for name in ("d.secgen", "data"):
        (study / name).rename(folder / name)
    ended = secgen("run", folder / "d.secgen", "--backend", "plaintext", "--out", folder / "o p")
    assert ended.code == 0, ended.err
    assert (folder / "o p" / "receipt.json").is_file()


def test_random_bytes_through_the_real_command(tmp_path: Path) -> None:
    path = tmp_path / "x.secgen"
    path.write_bytes(os.urandom(100_000))
    command = [Path(sys.executable).with_name("secgen"), "check", path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "error[SG104]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_check_does_not_load_what_it_does_not_need() -> None:
    code = (
        "import sys; from pathlib import Path; from secgen_dsl.cli.main import group; "
        "group(['check', sys.argv[1]], standalone_mode=False); print(*sorted(sys.modules))"
    )
    command = [sys.executable, "-c", code, SPECS / "two_hospitals.secgen"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "lark" in loaded
    heavy = {
        "pandas",
        "scipy",
        "jinja2",
        "h5py",
        "pyarrow",
        "opendp",
        "dp_accounting",
        "mpyc",
        "anndata",
        "sklearn",
    }
    assert heavy & set(loaded) == set()
