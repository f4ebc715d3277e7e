"""Plans of generated specs that were changed: what is claimed is checked, and nothing crashes."""

import copy
import json
from random import Random
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, read_node
from secgen_dsl.ir.plan import Plan
from secgen_dsl.verifier import verify
from tests.generated.drafts import GeneratedSpec
from tests.generated.specs import specs
from tests.generated.studies import examples, folder_of, planned, resolved
from tests.verifier.leaves import CLAIMED, UNCLAIMED, changed, leaves, pattern

SOMETIMES = {
    "program.privacy.epsilon",  # plans at the least noise spend less than their budget
    "program.privacy.delta",
    "program.privacy.adjacency",  # when it is the greater promise already
    # What nothing names may be called otherwise: the hash covers it.
    *(f"program.{kind}.*.name" for kind in ("columns", "references", "bridges", "sets", "panels")),
}
"""Claimed, but the change need not promise more than every plan keeps."""

ODD: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2**53, 2**70, 0.5, "", "0", "1", "-1", "1/3", "9" * 400, "x", "\0"),
    *([], {}, ["x"], [[0, 1]], "public", "centred", "replace-one", "1e9", "NaN"),
)


def data_of(spec: GeneratedSpec) -> Any:
    with folder_of(spec) as folder:
        plan = planned(resolved(spec.text(), folder))
    assume(plan is not None)
    assert plan is not None
    return json.loads(canonical_json(plan))


@examples(quick=25, full=800)
@given(specs(), st.integers(0, 2**32))
def test_what_a_plan_claims_is_checked(spec: GeneratedSpec, seed: int) -> None:
    data = data_of(spec)
    every = list(leaves(data))
    no_samples = {"program.samples"}  # the leaf None, where a spec releases none
    assert {pattern(path) for path, _ in every} <= set(CLAIMED) | UNCLAIMED | no_samples
    random = Random(seed)  # noqa: S311 (a sample of leaves)
    for path, value in random.sample(every, min(20, len(every))):
        change = CLAIMED.get(pattern(path))
        if change is None or pattern(path) in SOMETIMES:
            continue
        new = change(value)
        assert new != value, path
        assert refused(changed(data, path, new)), (path, value, new)


@examples(quick=25, full=800)
@given(specs(), st.integers(0, 2**32))
def test_no_change_of_a_plan_crashes_the_verifier(spec: GeneratedSpec, seed: int) -> None:
    data = data_of(spec)
    random = Random(seed)  # noqa: S311 (random changes)
    for _ in range(12):
        weaker = copy.deepcopy(data)
        for _ in range(random.randint(1, 3)):
            mutate(random, weaker)
        refused(weaker)


def mutate(random: Random, data: Any) -> None:
    """Replace, remove, repeat or move something anywhere in JSON data."""
    parent, key = None, None
    while isinstance(data, dict | list) and data and (parent is None or random.random() < 0.8):
        parent = data
        key = random.choice(list(data) if isinstance(data, dict) else range(len(data)))
        data = data[key]
    if parent is None:
        return
    kind = random.random()
    if isinstance(parent, list) and kind < 0.3:
        parent.insert(random.randint(0, len(parent)), copy.deepcopy(data))
    elif kind < 0.4:
        del parent[key]
    elif isinstance(parent, list) and kind < 0.5:
        random.shuffle(parent)
    else:
        parent[key] = copy.deepcopy(random.choice((*ODD, data)))


def refused(data: Any) -> bool:
    """Whether a plan is none, or does not verify; any other failure is an error."""
    try:
        verify(read_node(Plan, json.dumps(data)))
    except ValidationError:
        return True
    except SecgenError as error:
        assert {found.code for found in error.diagnostics} == {"SG320"}
        return True
    return False
