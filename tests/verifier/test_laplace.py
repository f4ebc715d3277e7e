"""Plans with Laplace noise that claim more than they keep."""

import json
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.ir.base import canonical_json, read_node
from secgen_dsl.ir.plan import Plan
from secgen_dsl.privacy.bound import compose
from secgen_dsl.verifier import verify
from tests.verifier.test_hostile_plans import refusal


@pytest.fixture
def data(pure: PlannedStudy) -> Any:
    return json.loads(canonical_json(pure.plan))


def releases(data: Any) -> list[Any]:
    found: list[Any] = data["rounds"][0]["releases"]
    return found


GAUSSIAN = {
    "kind": "gaussian",
    "sensitivity_squared": "1",
    "variance": "2000000",
    "party_variance": "1000000",
}

Spoil = Callable[[Any], object]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda d: releases(d)[0]["noise"].update(sensitivity=2), "what a person can change"),
        (lambda d: releases(d)[0]["noise"].update(parts=3), "do not add up"),
        (lambda d: releases(d)[0]["noise"].update(parts=0), "do not add up"),
        (lambda d: releases(d)[0]["noise"].update(scale="0"), "beyond what can be drawn"),
        (lambda d: releases(d)[0]["noise"].update(scale="-3"), "beyond what can be drawn"),
        (lambda d: releases(d)[0]["noise"].update(scale=str(2**41)), "beyond what can be drawn"),
        (lambda d: releases(d)[0]["noise"].update(scale="10000/3"), "not a multiple of 1/1000"),
        (lambda d: releases(d)[0]["noise"].update(scale="1" + "0" * 900 + "/7"), "beyond what can"),
        (lambda d: releases(d)[0]["noise"].update(scale="1/" + "9" * 900), "not a multiple"),
        (lambda d: releases(d)[0].update(noise=GAUSSIAN), "not of the kind that is promised"),
        (lambda d: releases(d)[1].update(map="centred", opened=20), "is mapped"),
        (lambda d: releases(d)[0].update(halved=1), "the shape"),
        (lambda d: releases(d)[0].update(opened=11), "the shape"),
        (lambda d: releases(d)[0].update(tables=2), "the shape"),
        (lambda d: d["program"]["privacy"].update(mechanism="gaussian"), "delta 0 cannot be kept"),
        (lambda d: d["program"]["privacy"].update(delta="1/100"), "delta lies outside"),
        (lambda d: releases(d)[0]["noise"].update(scale="5"), "does not reach the accuracy"),
        (lambda d: d["program"]["privacy"].update(adjacency="replace-one"), "can change"),
    ],
)
def test_what_does_not_hold_is_refused(data: Any, spoil: Spoil, says: str) -> None:
    spoil(data)
    assert says in refusal(data)


def test_one_step_beyond_the_budget_is_too_much(data: Any, pure: PlannedStudy) -> None:
    """The sum is compared exactly: not a thousandth of a person's noise is given away."""
    spent = compose(pure.plan).pure
    assert spent is not None
    data["program"]["privacy"]["epsilon"] = str(spent)
    # A budget that no float is, just met.
    assert verify(read_node(Plan, json.dumps(data))).composition.pure == spent
    data["program"]["privacy"]["epsilon"] = str(spent - Fraction(1, 10**40))
    assert "more than the budget" in refusal(data)


def test_a_share_is_of_epsilon(data: Any) -> None:
    queries = data["program"]["queries"]
    for query, share in zip(queries, ("1/2", None), strict=True):
        query["importance"]["share"] = share
        query["importance"]["error"] = None
    statement = queries[0]["statement"].replace("error 4 people", "share 50%")
    queries[0]["statement"] = statement
    verify(read_node(Plan, json.dumps(data)))  # 21.5% are spent
    queries[0]["importance"]["share"] = "1/5"
    queries[0]["statement"] = statement.replace("50%", "20%")
    assert "more than its share" in refusal(data)


def test_noise_that_the_field_cannot_hold(data: Any) -> None:
    """47 scales on either side are kept free: some 2⁵⁴ at most."""
    data["modulus"] = str(2**61 - 1)
    for release in releases(data):
        release["noise"]["scale"] = str(2**40)
    data["program"]["queries"][0]["importance"]["error"] = None
    data["program"]["queries"][0]["statement"] = "marginal sex * subtype"
    verify(read_node(Plan, json.dumps(data)))  # the largest scale fits


def test_vectors_have_no_laplace_noise(pure: PlannedStudy, data: Any) -> None:
    vector = {
        "kind": "vector-sum", "id": "sums", "statement": "sums", "serves": "subtype*repair",
        "content": "means", "columns": [], "coordinates": 6, "clip": 100,
    }  # fmt: skip
    data["added"].append(vector)
    one = releases(data)[0]
    releases(data).append(
        one | {"query": "sums", "raw_cells": 6, "opened": 6, "noise": one["noise"]}
    )
    data["openings"].append({"round": 1, "query": "sums", "values": 6, "recipients": "parties"})
    assert "sums" in refusal(data)


@pytest.mark.parametrize("number", [4000, 5000])
def test_many_scales_are_verified_soon(data: Any, number: int) -> None:
    program = data["program"]
    plain = next(query for query in program["queries"] if query["panel"] is None)
    plain["importance"]["error"] = None
    plain["statement"] = "marginal sex * subtype"
    one = releases(data)[0]
    for k in range(number):
        name = f"again {k}"
        program["queries"].append(plain | {"id": name})
        noise = one["noise"] | {"scale": str(Fraction(10**7 + k, 1000))}
        releases(data).append(one | {"query": name, "noise": noise})
        opening = {"round": 1, "query": name, "values": one["opened"], "recipients": "parties"}
        data["openings"].append(opening)
    data["program"]["privacy"]["epsilon"] = "50"
    if number > 4096:
        assert "different noises" in refusal(data)
        return
    start = time.monotonic()
    found = verify(read_node(Plan, json.dumps(data)))
    assert time.monotonic() - start < 10
    assert 2 < found.epsilon < 3
