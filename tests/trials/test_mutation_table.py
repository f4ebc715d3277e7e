"""The table of mutations fits the code: `make mutations` then shows that every bug is noticed."""

import pytest

from tools.mutation import Edit, Mutation
from tools.mutation_table import MUTATIONS
from tools.mutations import apply, copied_tree, stale


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.bug)
def test_the_text_to_change_is_there_once(mutation: Mutation) -> None:
    assert stale(mutation) == []
    assert all(edit.old != edit.new for edit in mutation.edits)
    assert mutation.tests


def test_every_bug_has_a_name_of_its_own() -> None:
    assert len({mutation.bug for mutation in MUTATIONS}) == len(MUTATIONS) >= 15


def test_a_text_that_moved_is_reported_and_nothing_is_changed() -> None:
    moved = Mutation("moved", (Edit("secgen_dsl/runtime/noise.py", "no such", ""),), ("tests/no",))
    assert len(stale(moved)) == 2
    with copied_tree() as copy, pytest.raises(ValueError, match="does not hold"):
        apply(moved, copy)
