"""Marginals that connect too many columns are refused with their size and what is enough."""

from pathlib import Path

import pytest

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError

from .test_language import resolved

VALUES = ", ".join(f"v{number}" for number in range(30))
COLUMNS = (
    "columns { "
    + "; ".join(f"{name} category {{ {VALUES} }}" for name in "wxyz")
    + "; age number 0..100 in bins at "
    + ", ".join(str(edge) for edge in range(2, 100, 2))
    + "; sex category { f, m } }"
)


def refused(folder: Path, measure: str) -> Diagnostic:
    with pytest.raises(SecgenError) as caught:
        resolved(folder, **spec(measure))
    (found,) = (one for one in caught.value.diagnostics if one.severity == "error")
    assert found.code == "SG601"
    return found


def spec(measure: str) -> dict[str, str]:
    return {
        "columns": COLUMNS,
        "measure": f"measure {{ {measure} }}",
        "public": "",
        "sets": "",
        "panel": "",
    }


def test_a_ring_is_refused_with_the_marginals_that_close_it(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        "marginal w * x; marginal x * y; marginal y * age; marginal age * w; marginal w * y; "
        "marginal age * x; marginal sex * w",
    )
    assert "w (30) × x (30) × y (30) × age (50)" in found.message
    assert "1,350,000" in found.message
    assert found.next_step is not None
    assert "leave out `marginal w * x` (the largest joint table then has 45,000)" in found.next_step
    assert "cut age into at most 38 bins, not 50" in found.next_step
    assert "sex" not in found.next_step
    # What it says is enough is enough.
    rest = (
        "marginal x * y; marginal y * age; marginal age * w; marginal w * y; marginal age * x; "
        "marginal sex * w"
    )
    resolved(tmp_path, **spec(rest))


def test_where_no_one_change_is_enough_it_says_so(tmp_path: Path) -> None:
    pairs = "; ".join(f"marginal {a} * {b}" for a in "wxyz" for b in "wxyz" if a < b)
    ages = "; ".join(f"marginal age * {a}" for a in "wxyz")
    found = refused(tmp_path, f"{pairs}; {ages}")
    assert "40,500,000" in found.message
    assert found.next_step is not None
    assert "no one change is enough" in found.next_step


def test_a_table_that_is_too_large_by_itself(tmp_path: Path) -> None:
    found = refused(tmp_path, "marginal w * x * y * age; marginal sex * w")
    assert found.next_step is not None
    assert "leave out `marginal w * x * y * age`" in found.next_step
