"""The figures of docs/quality.md are those of the committed results."""

import pandas as pd
import pytest

from benchmarks.quality.report import PAGE, RESULTS, attack_table, table
from benchmarks.quality.sweep import METHODS

PAGE_TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(file.stem for file in RESULTS.glob("*.csv")))
def test_tables_are_those_of_the_results(name: str) -> None:
    if name == "attacks":
        shown = attack_table(pd.read_csv(RESULTS / "attacks.csv"))
    else:
        lines = pd.read_csv(RESULTS / f"{name}.csv", dtype={"epsilon": "string"})
        shown = table(lines.assign(epsilon=lines["epsilon"].fillna("")))
    assert shown in PAGE_TEXT


@pytest.mark.parametrize("study", ["brca", "colorectal"])
def test_every_method_was_measured_and_is_explained(study: str) -> None:
    assert set(pd.read_csv(RESULTS / f"{study}.csv")["method"]) == set(METHODS)
    assert all(f"| {method} |" in PAGE_TEXT for method in METHODS)
