"""Runs the command line in this process."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from secgen_dsl.cli.main import group

_ERROR = re.compile(r"^(?:(?:\S.*: )?error\[|::error .*title=)(SG\d{3})", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def codes(self) -> list[str]:
        """Codes of the errors that were printed, whatever the format."""
        if self.out.startswith("{"):
            if "runs" in self.json:
                results = self.json["runs"][0]["results"]
                return [result["ruleId"] for result in results if result["level"] == "error"]
            return [d["code"] for d in self.json["diagnostics"] if d["severity"] == "error"]
        return _ERROR.findall(self.err + self.out)


def secgen(*args: str | Path, stdin: str = "") -> Ended:
    words = [str(arg) for arg in args]
    result = CliRunner().invoke(group, words, input=stdin, prog_name="secgen")
    assert isinstance(result.exception, SystemExit | None), result.exception
    ended = Ended(result.exit_code, result.stdout, result.stderr)
    assert "Traceback" not in ended.out + ended.err
    assert "[SG900]" not in ended.err, ended.err
    assert '"code": "SG900"' not in ended.out, ended.out
    if ended.code == 1:
        assert ended.codes()
    return ended
