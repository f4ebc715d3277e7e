"""Each static rule of PRIVACY 7.3: what breaks it is refused or warned of, its like is not."""

import pytest

from secgen_dsl.diagnostics.codes import TITLES
from tests.rules.cases import FAILS, PASSES, Case

RULES = [f"S{number:02}" for number in range(1, 21)]


@pytest.mark.parametrize("case", FAILS, ids=[case.id for case in FAILS])
def test_fails(case: Case) -> None:
    found = case.found()
    assert found.codes == {case.code}, found.said
    assert case.says in found.said


@pytest.mark.parametrize("case", PASSES, ids=[case.id for case in PASSES])
def test_passes(case: Case) -> None:
    found = case.found()
    assert found.codes == set(), found.said


def test_every_rule_is_broken_and_kept() -> None:
    assert sorted({case.rule for case in FAILS}) == RULES
    assert sorted({case.rule for case in PASSES}) == RULES
    assert all(case.code in TITLES and case.says for case in FAILS)
    names = [case.id for case in (*FAILS, *PASSES)]
    assert len(names) == len(set(names))
