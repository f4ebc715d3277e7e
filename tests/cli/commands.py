"""Runs the command line in this process."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from secgen_dsl.cli.main import group


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def codes(self) -> list[str]:
        """Codes of the diagnostics on stderr, or in the JSON."""
        if self.out.startswith("{"):
            return [d["code"] for d in self.json["diagnostics"] if d["severity"] == "error"]
        return [
            line[len("error[") :][:5] for line in self.err.splitlines() if line.startswith("error[")
        ]


def secgen(*args: str | Path) -> Ended:
    result = CliRunner().invoke(group, [str(arg) for arg in args], prog_name="secgen")
    assert isinstance(result.exception, SystemExit | None), result.exception
    ended = Ended(result.exit_code, result.stdout, result.stderr)
    assert "Traceback" not in ended.out + ended.err
    assert "[SG900]" not in ended.err and '"code": "SG900"' not in ended.out, ended.err
    if ended.code == 1:
        assert ended.codes()
    return ended
