"""S02: what a run leaves for others is its plan, the opened values and what follows from them."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.commands import secgen
from tests.study import FOLDER

MEASURED = {"measurements.json", "measurements.csv", "synthetic.csv"}
"""Files that follow from the opened values; the receipt holds their hashes."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of nobody at all, and of thousands."""
    found = []
    for times in (0, 500):
        folder = tmp_path_factory.mktemp("study")
        shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
        for silo in ("north", "east", "south"):
            header, *rows = (folder / f"{silo}.csv").read_text().splitlines()
            names = [f"p{n}{row[row.index(',') :]}" for n, row in enumerate(rows * times)]
            (folder / f"{silo}.csv").write_text("\n".join([header, *names]) + "\n")
        ended = secgen("run", folder / "study.secgen", "--backend", "plaintext", "-o",
                       folder / "out", "--seed", "1")  # fmt: skip
        assert ended.code == 0, ended.err
        found.append(folder / "out")
    return found


def test_other_people_change_the_opened_values_and_nothing_else(results: list[Path]) -> None:
    nobody, thousands = results
    names = {path.name for path in nobody.iterdir()}
    assert names == {path.name for path in thousands.iterdir()}
    changed = {
        name
        for name in names - {"parties"}
        if (nobody / name).read_bytes() != (thousands / name).read_bytes()
    }
    assert changed == MEASURED | {"receipt.json"}
    receipts = [json.loads((folder / "receipt.json").read_text()) for folder in results]
    for receipt in receipts:
        assert receipt["files"].keys() > MEASURED
        for name in (*MEASURED, "date"):
            receipt["files"].pop(name, None)
        # Hashes with a secret of the site's own; the day.
        receipt.pop("ledger_entries")
        receipt.pop("date")
    assert receipts[0] == receipts[1]


def test_what_is_opened_has_the_plans_length_and_so_have_the_samples(results: list[Path]) -> None:
    plan = json.loads((results[0] / "plan.json").read_text())
    for folder in results:
        opened = json.loads((folder / "measurements.json").read_text())
        lengths = {each["query"]: len(each["values"]) for each in opened["measurements"]}
        assert lengths == {each["query"]: each["values"] for each in plan["openings"]}
        assert opened.keys() == {"format", "measurements", "plan_sha256"}
        rows = (folder / "synthetic.csv").read_text().splitlines()[1:]
        assert len(rows) == plan["program"]["samples"]["rows"] == 100
