"""The figures of docs/quality.md are those of the committed results."""

import pandas as pd
import pytest

from benchmarks.quality.report import OTHER_TABLES, PAGE, RESULTS, table
from benchmarks.quality.sweep import METHODS

PAGE_TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(file.stem for file in RESULTS.glob("*.csv")))
def test_tables_are_those_of_the_results(name: str) -> None:
    if name in OTHER_TABLES:
        shown = OTHER_TABLES[name](pd.read_csv(RESULTS / f"{name}.csv"))
    else:
        lines = pd.read_csv(RESULTS / f"{name}.csv", dtype={"epsilon": "string"})
        shown = table(lines.assign(epsilon=lines["epsilon"].fillna("")))
    assert shown in PAGE_TEXT


@pytest.mark.parametrize("study", ["brca", "colorectal"])
def test_every_method_was_measured_and_is_explained(study: str) -> None:
    assert set(pd.read_csv(RESULTS / f"{study}.csv")["method"]) == set(METHODS)
    assert all(f"| {method} |" in PAGE_TEXT for method in METHODS)
