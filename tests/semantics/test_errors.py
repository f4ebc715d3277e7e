"""Each fault of meaning is said at its place with a next step (`errors.cases`)."""

from pathlib import Path

import pytest

from secgen_dsl.diagnostics.codes import TITLES
from tests.syntax.cases import Case, as_expected, assert_helpful, diagnose, read_cases

CASES = tuple(read_cases(Path(__file__).with_name("errors.cases")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
def test_errors(case: Case) -> None:
    found = diagnose(case.spec)
    assert as_expected(found) == case.expected
    for diagnostic in found:
        assert_helpful(diagnostic)


def test_every_code_of_the_semantics_has_a_case() -> None:
    shown = {line.split()[0] for case in CASES for line in case.expected}
    # Warnings and faults of plans have tests of their own (test_bins, verifier).
    of_the_plan = {"SG309", "SG310", "SG312", "SG320", "SG321"}
    all_codes = {c for c in TITLES if c in ("SG113", "SG114") or c[:3] in ("SG2", "SG3")}
    assert all_codes - of_the_plan - shown == set()
