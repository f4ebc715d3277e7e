"""The page on deployment says what the program says: keys, options, codes, and the unit."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from secgen_dsl.cli.party import party
from secgen_dsl.diagnostics.codes import TITLES
from secgen_dsl.runtime.network.links import routes
from secgen_dsl.runtime.trust.consortium import (
    Consortium,
    PartyEntry,
    Relay,
    Timeouts,
    read_consortium,
)
from tests.docs.pages import DOCS, Block, blocks

PAGE = (DOCS / "deploy.md").read_text(encoding="utf-8")


def block(language: str) -> Block:
    return next(one for one in blocks(PAGE) if one.language == language)


def test_every_key_of_a_consortium_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "consortium.toml"
    path.write_text(block("toml").text, encoding="utf-8")
    shown = read_consortium(path)
    content = tomllib.loads(block("toml").text)
    tables = {"timeouts": Timeouts, "relay": Relay, "party": PartyEntry}
    for name, table in tables.items():
        one = content[name][0] if name == "party" else content[name]
        assert set(one) == set(table.model_fields)
        for key in table.model_fields:
            assert f"| `{name}.{key}` |" in PAGE
    assert set(content) == set(Consortium.model_fields)
    # What the page gives for "without it".
    assert shown.timeouts == Timeouts()


def test_every_option_of_a_party_is_explained() -> None:
    for option in party.params:
        if isinstance(option, click.Option):
            assert f"`{option.opts[-1]}`" in PAGE, option.opts


def test_codes_of_the_parties() -> None:
    codes = set(re.findall(r"SG\d{3}", PAGE))
    table = PAGE[PAGE.index("| code | what happened") :]
    rows = set(re.findall(r"SG\d{3}", " ".join(re.findall(r"^\| (SG[^|]*) \|", table, re.M))))
    assert {code for code in TITLES if "SG501" <= code <= "SG529"} <= rows
    assert {code for code in codes if code not in TITLES} <= {"SG530"}


def test_who_dials_whom() -> None:
    """The firewall's table is the rule of the program."""
    names = ["europe", "northeast", "south"]
    entries = [
        PartyEntry.model_construct(name=name, address=f"{name}.example.org:7443") for name in names
    ]
    dialled = {
        (names[index], names[route.peer])
        for index in range(3)
        for route in routes(entries, index)
        if route.dials
    }
    assert dialled == set(re.findall(r"^\| (\w+) \| (\w+) \| TCP 7443 \|", PAGE, re.M))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit(tmp_path: Path) -> None:
    unit = block("ini")
    installed = Path(sys.executable).with_name("secgen")
    text = unit.text.replace("/opt/secgen/bin/secgen", str(installed))
    path = tmp_path / unit.title.replace("@", "@colorectal")
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
