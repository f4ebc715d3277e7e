"""`secgen fmt`: what it writes, prints and leaves alone."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from secgen_dsl.cli.main import group
from secgen_dsl.syntax.format import format_text
from secgen_dsl.syntax.parser import MAXIMUM_BYTES
from tests.cli.commands import secgen
from tests.conftest import SPECS

CANONICAL = (SPECS / "colorectal.secgen").read_text(encoding="utf-8")
UNTIDY = CANONICAL.replace("\n  ", "\n      ").replace(" * ", "*").replace("  #", "\t#")


@pytest.fixture
def untidy(tmp_path: Path) -> Path:
    path = tmp_path / "study é.secgen"
    path.write_text(UNTIDY, encoding="utf-8")
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def output(*args: str, data: bytes = b"") -> tuple[int, bytes, str]:
    """Exit code, stdout to the byte, stderr."""
    result = CliRunner().invoke(group, ["fmt", *args], input=data, prog_name="secgen")
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "SG900" not in result.stderr
    return result.exit_code, result.stdout_bytes, result.stderr


def test_it_writes_the_canonical_layout(untidy: Path) -> None:
    ended = secgen("fmt", untidy)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"formatted {untidy}\n"
    assert untidy.read_bytes() == CANONICAL.encode()
    assert files(untidy.parent) == [untidy.name]


def test_what_is_canonical_is_not_written(untidy: Path) -> None:
    secgen("fmt", untidy)
    before = untidy.stat()
    ended = secgen("fmt", untidy)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert (untidy.stat().st_ino, untidy.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_check_names_the_files_and_writes_nothing(untidy: Path) -> None:
    good = SPECS / "two_hospitals.secgen"
    ended = secgen("fmt", "--check", good, untidy)
    assert (ended.code, ended.codes(), ended.out) == (1, ["SG705"], "")
    assert f"{untidy}:4:1" in ended.err
    assert f"next: secgen fmt '{untidy}'" in ended.err
    assert good.name not in ended.err
    assert untidy.read_text(encoding="utf-8") == UNTIDY
    assert secgen("fmt", "--check", good).code == 0


@pytest.mark.parametrize(
    "data",
    [
        CANONICAL.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + CANONICAL.encode(),
        CANONICAL.rstrip("\n").encode(),
        CANONICAL.encode() + b"\n",
    ],
    ids=["windows line ends", "byte order mark", "no final newline", "two final newlines"],
)
def test_line_ends_and_marks_are_layout(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s.secgen"
    path.write_bytes(data)
    assert secgen("fmt", "--check", path).codes() == ["SG705"]
    assert secgen("fmt", path).code == 0
    assert path.read_bytes() == CANONICAL.encode()


def patched(text: str, diff: str) -> str:
    """What a unified diff makes of a text, by the rules of the format."""
    old = re.findall(r"[^\n]*\n|[^\n]+", text)
    new: list[str] = []
    done = 0
    header, *hunks = re.split(r"^@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@\n", diff, flags=re.M)
    assert re.fullmatch(r"--- .*\n\+\+\+ .*\n", header)
    for start, body in zip(hunks[::2], hunks[1::2], strict=True):
        new += old[done : int(start) - 1]
        done = int(start) - 1
        for line in re.findall(
            r"[^\n]*\n", body.replace("\n\\ No newline at end of file\n", "\0\n")
        ):
            sign, rest = line[0], line[1:].replace("\0\n", "")
            assert sign in " -+"
            if sign != "+":
                assert old[done] == rest
                done += 1
            if sign != "-":
                new.append(rest)
    return "".join(new + old[done:])


@pytest.mark.parametrize(
    "text",
    [UNTIDY, UNTIDY.rstrip("\n"), "\ufeff" + UNTIDY, UNTIDY.replace("\n", "\r\n"), "secgen  1"],
    ids=["untidy", "no final newline", "byte order mark", "windows line ends", "one line"],
)
def test_diff_is_a_patch(untidy: Path, text: str) -> None:
    untidy.write_bytes(text.encode())
    code, out, err = output("--diff", str(untidy))
    assert (code, err) == (0, "")
    assert untidy.read_bytes() == text.encode()
    assert patched(text, out.decode()) == format_text(text.removeprefix("\ufeff"))
    assert output("--diff", str(SPECS / "two_hospitals.secgen")) == (0, b"", "")


def test_check_and_diff_together(untidy: Path) -> None:
    ended = secgen("fmt", "--check", "--diff", untidy)
    assert (ended.code, ended.codes()) == (1, ["SG705"])
    assert ended.out == secgen("fmt", "--diff", untidy).out != ""


def test_standard_input() -> None:
    assert output("-", data=UNTIDY.encode()) == (0, CANONICAL.encode(), "")
    assert output("-", data=CANONICAL.encode()) == (0, CANONICAL.encode(), "")
    code, out, err = output("--check", "-", data=UNTIDY.encode())
    assert (code, out) == (1, b"")
    assert "standard input:4:1" in err


def test_a_spec_that_does_not_parse_is_left_alone(untidy: Path) -> None:
    wrong = UNTIDY.replace("epsilon 4", "epsilon four")
    untidy.write_text(wrong, encoding="utf-8")
    other = untidy.with_name("other.secgen")
    other.write_text(UNTIDY, encoding="utf-8")
    ended = secgen("fmt", untidy, untidy.parent / "missing", other)
    assert (ended.code, ended.codes()) == (1, ["SG110", "SG101"])
    assert ended.out == f"formatted {other}\n"
    assert untidy.read_text(encoding="utf-8") == wrong
    code, out, err = output("-", data=wrong.encode())
    assert (code, out) == (1, b"")
    assert "standard input:42:" in err


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "SG102"),
        (b"# only a comment", "SG102"),
        (b"secgen 1 # \xff", "SG104"),
        (b"secgen 1 # \0", "SG104"),
        (b"#" * (MAXIMUM_BYTES + 1), "SG103"),
        (b"trust {" + b"tolerate 1 colluding party;" * 36_000 + b"}", "SG103"),
        (b"trust {" + b"}" * 100_000, "SG110"),
        (b"}", "SG110"),
    ],
)
def test_no_specs(data: bytes, code: str) -> None:
    ended, out, err = output("-", data=data)
    assert (ended, out) == (1, b"")
    assert err.startswith(f"error[{code}]: ")


def test_a_link_stays_a_link_and_the_mode_stays(untidy: Path, tmp_path: Path) -> None:
    untidy.chmod(0o640)
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.secgen"
    link.symlink_to(os.path.relpath(untidy, link.parent))
    assert secgen("fmt", link).code == 0
    assert link.is_symlink()
    assert untidy.read_text(encoding="utf-8") == CANONICAL
    assert untidy.stat().st_mode & 0o777 == 0o640
    assert files(link.parent) == [link.name]


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(UNTIDY,))
    writer.start()
    ended = secgen("fmt", pipe)
    writer.join()
    assert (ended.code, ended.codes()) == (1, ["SG701"])
    assert pipe.is_fifo()
    assert files(tmp_path) == ["pipe"]


@pytest.mark.skipif(os.geteuid() == 0, reason="for root every file is writable")
def test_a_file_that_cannot_be_written_is_left_alone(untidy: Path) -> None:
    untidy.chmod(0o444)
    assert secgen("fmt", untidy).codes() == ["SG701"]
    untidy.chmod(0o644)
    untidy.parent.chmod(0o555)
    ended = secgen("fmt", untidy)
    untidy.parent.chmod(0o755)
    assert (ended.code, ended.codes()) == (1, ["SG701"])
    assert untidy.read_text(encoding="utf-8") == UNTIDY


def test_usage() -> None:
    assert secgen("fmt").code == 2
    assert "- reads" in secgen("fmt", "-h").out.replace("`", "")


def test_it_starts_quickly(untidy: Path) -> None:
    code = (
        "import sys; from secgen_dsl.cli.main import main\n"
        f"sys.argv = ['secgen', 'fmt', {str(untidy)!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'pandas', 'pydantic', 'pygments'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"formatted {untidy}", "[]"]
