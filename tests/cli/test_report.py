"""Formats of diagnostics on the commands, colours, pages, and how a command ends."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from secgen_dsl.cli.report import command
from secgen_dsl.diagnostics.codes import TITLES
from secgen_dsl.diagnostics.pages import HEADINGS
from tests.cli.commands import secgen
from tests.conftest import SPECS
from tests.study import FOLDER, complete

SOUND = SPECS / "two_hospitals.secgen"
ON_A_SPEC = ("check", "plan", "compile", "describe", "run")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A spec with two errors."""
    path = tmp_path / "odd.secgen"
    path.write_text("trust { tolerate one colluding party }\nprivacy { epsilon 1% }\n")
    return path


@pytest.fixture
def warned(tmp_path: Path) -> Path:
    """A sound spec with warnings, two of one code and one of another."""
    text = complete(
        "panel repair expression log2 0..20 { MLH1, HOUSE }\n"
        "privacy { add or remove one person; epsilon 4 }\n"
    )
    for file in FOLDER.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "warned.secgen").write_text(text)
    return tmp_path / "warned.secgen"


def more(tmp_path: Path, name: str) -> tuple[str | Path, ...]:
    return ("-o", tmp_path / "out") if name in ("compile", "run") else ()


@pytest.mark.parametrize("name", ON_A_SPEC)
def test_errors_in_every_format(name: str, odd: Path, tmp_path: Path) -> None:
    args = (name, odd, *more(tmp_path, name))
    full = secgen(*args)
    assert (full.code, full.out) == (1, "")
    assert full.err.count("secgen explain SG110") == 1
    assert full.err.endswith("2 errors\nmore: secgen explain SG110\n")
    lines = secgen(*args, "--format", "concise")
    assert (lines.code, lines.err) == (1, "")
    first, second = lines.out.splitlines()
    assert first.startswith(f"{odd}:1:18: error[SG110]: ")
    assert second.startswith(f"{odd}:2:19: error[SG110]: ")
    assert " — next: write 1" in first
    github = secgen(*args, "--format", "github")
    assert (github.code, github.err) == (1, "")
    assert [line.split(" ")[0] for line in github.out.splitlines()] == ["::error", "::error"]
    sarif = secgen(*args, "--format", "sarif")
    assert (sarif.code, sarif.err) == (1, "")
    assert len(sarif.json["runs"][0]["results"]) == 2
    data = secgen(*args, "--format", "json")
    assert (data.code, data.err) == (1, "")
    assert data.out == secgen(*args, "--json").out
    assert data.codes() == ["SG110", "SG110"]


@pytest.mark.parametrize("name", ["check", "plan"])
def test_success_in_every_format(name: str, warned: Path) -> None:
    full = secgen(name, warned)
    assert full.code == 0
    assert "share of budget" in full.out
    assert full.err.count("warning[SG309]") == 1
    assert full.err.count("more: secgen explain") == 1
    assert full.err.endswith("more: secgen explain SG309 SG310\n")
    lines = secgen(name, warned, "--format", "concise")
    assert (lines.code, lines.err) == (0, "")
    assert [line.split(": ")[1] for line in lines.out.splitlines()] == [
        "warning[SG309]",
        "warning[SG310]",
    ]
    github = secgen(name, warned, "--format", "github")
    assert github.out.count("::warning ") == len(github.out.splitlines()) == 2
    assert all("line=" in line and "warned.secgen" in line for line in github.out.splitlines())
    results = secgen(name, warned, "--format", "sarif").json["runs"][0]["results"]
    assert [result["level"] for result in results] == ["warning"] * 2


@pytest.mark.parametrize("name", ["check", "plan"])
def test_nothing_to_say_in_every_format(name: str) -> None:
    for form in ("concise", "github"):
        assert secgen(name, SOUND, "--format", form).out == ""
    assert secgen(name, SOUND, "--format", "sarif").json["runs"][0]["results"] == []
    data = secgen(name, SOUND, "--format", "json").json
    assert (data["ok"], data["diagnostics"]) == (True, [])


def test_json_of_compile_and_describe(tmp_path: Path) -> None:
    compiled = secgen("compile", SOUND, "-o", tmp_path / "b", "--json").json
    assert compiled["bundle"] == str(tmp_path / "b")
    assert (tmp_path / "b" / "manifest.json").is_file()
    told = secgen("describe", SOUND, "--json").json
    assert told["plan_sha256"] == compiled["plan_sha256"]
    assert told["description"] == secgen("describe", SOUND).out.removesuffix("\n")
    out = tmp_path / "d.md"
    written = secgen("describe", SOUND, "-o", out, "--json").json
    assert written["written"] == [str(out)]
    assert out.read_text(encoding="utf-8") == told["description"]


def test_two_formats_exclude_each_other() -> None:
    ended = secgen("check", SOUND, "--json", "--format", "sarif")
    assert ended.code == 2
    assert "exclude each other" in ended.err
    assert secgen("check", SOUND, "--json", "--format", "json").code == 0


def on_a_terminal(*args: str | Path, **environment: str) -> str:
    """What the installed command writes to a terminal."""
    reader, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **environment}
    command = [Path(sys.executable).with_name("secgen"), *args]
    with subprocess.Popen(command, stderr=terminal, stdout=terminal, env=environment) as process:
        os.close(terminal)
        said = b""
        while True:
            try:
                part = os.read(reader, 4096)
            except OSError:  # the terminal is closed
                break
            if not part:
                break
            said += part
        process.wait()
    os.close(reader)
    return said.decode()


def test_colours_on_a_terminal_only(odd: Path) -> None:
    coloured = on_a_terminal("check", odd)
    assert "\x1b[31m" in coloured
    plain = on_a_terminal("check", odd, NO_COLOR="1")
    assert "\x1b" not in plain
    assert click.unstyle(coloured) == plain
    assert "\x1b" not in secgen("check", odd).err
    assert "\x1b[1m" in on_a_terminal("explain", "SG205")
    assert "\x1b" not in on_a_terminal("explain", "SG205", NO_COLOR="1")


def test_explain() -> None:
    ended = secgen("explain", "sg205", "SG112", "SG205")
    assert ended.code == 0
    titles = [line for line in ended.out.splitlines() if line.startswith("SG")]
    assert titles == [f"{code}  {TITLES[code]}" for code in ("SG205", "SG112")]
    for heading in HEADINGS:
        assert ended.out.count(f"\n{heading}\n") == 2
    assert "    measure { marginal subtyp }\n" in ended.out
    assert "```" not in ended.out


@pytest.mark.parametrize("columns", ["40", "72", "400"])
def test_explain_fits_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    prose = [
        line
        for line in secgen("explain", *TITLES).out.splitlines()
        if line.startswith("  ") and not line.startswith("    ")
    ]
    assert max(map(len, prose)) <= min(int(columns), 100)


def test_explain_as_json() -> None:
    (page,) = secgen("explain", "SG205", "--json").json["pages"]
    assert (page["code"], page["title"]) == ("SG205", TITLES["SG205"])
    assert tuple(page["sections"]) == HEADINGS
    assert secgen("explain", "--list", "--json").json["codes"] == dict(TITLES)


def test_explain_lists_all_codes() -> None:
    lines = secgen("explain", "--list").out.splitlines()
    assert lines == [f"{code}  {title}" for code, title in TITLES.items()]


def test_explain_of_an_unknown_code() -> None:
    ended = secgen("explain", "SG250", "SG205")
    assert (ended.code, ended.codes(), ended.out) == (1, ["SG903"], "")
    assert 'did you mean "SG' in ended.err
    assert secgen("explain", "x", "y", "--json").codes() == ["SG903", "SG903"]
    assert "explain --list" in secgen("explain", "bins").err
    assert secgen("explain").code == secgen("explain", "SG205", "--list").code == 2


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt, "SG901"), (MemoryError, "SG902"), (KeyError, "SG900")]
)
def test_how_a_command_ends_that_is_stopped(error: type[BaseException], code: str) -> None:
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    @command
    def stopped(as_json: bool) -> None:
        raise error

    ended = CliRunner().invoke(stopped, [])
    assert ended.exit_code == 1
    assert f"error[{code}]" in ended.stderr
    assert "Traceback" not in ended.stderr
    data = json.loads(CliRunner().invoke(stopped, ["--json"]).stdout)
    assert [found["code"] for found in data["diagnostics"]] == [code]
