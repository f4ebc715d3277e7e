"""Plans made to break the verifier: refused with SG320 or unreadable, soon, and in no other way."""

import json
import time
from typing import Any

import pytest
from pydantic import ValidationError

from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, read_node
from secgen_dsl.ir.plan import Plan
from secgen_dsl.verifier import verify


@pytest.fixture
def data(colorectal: PlannedStudy) -> Any:
    return json.loads(canonical_json(colorectal.plan))


def refusal(data: Any) -> str:
    start = time.monotonic()
    with pytest.raises(SecgenError) as caught:
        verify(read_node(Plan, json.dumps(data)))
    assert {found.code for found in caught.value.diagnostics} == {"SG320"}
    assert time.monotonic() - start < 60  # not for ever, on whatever machine
    return str(caught.value)


@pytest.mark.parametrize("digits", [14, 20, 30, 33, 400])
def test_noise_beyond_the_accountants_range(data: Any, digits: int) -> None:
    honest = len(data["parties"]) - data["threshold"]
    for release in data["rounds"][0]["releases"]:
        release["noise"] |= {
            "variance": str(honest * 10**digits),
            "party_variance": str(10**digits),
        }
    assert "cannot be bounded" in refusal(data) or "field is too small" in refusal(data)


@pytest.mark.parametrize("weight", ["9" * 400 + "/2", "1/" + "9" * 400, "0", "-1"])
def test_weights_beyond_floats(data: Any, weight: str) -> None:
    data["program"]["queries"][0]["importance"]["weight"] = weight
    assert "weight" in refusal(data)


def test_edges_beyond_floats(data: Any) -> None:
    data["program"]["panels"][0]["high"] = "9" * 400
    assert "range" in refusal(data)


@pytest.mark.parametrize("columns", [7, 8, 20, 300])
def test_more_cells_than_any_machine_holds(data: Any, columns: int) -> None:
    values = [f"v{number}" for number in range(100)]
    names = [f"c{number}" for number in range(columns)]
    program = data["program"]
    program["columns"] += [
        {"kind": "category", "name": name, "values": values, "otherwise": None} for name in names
    ]
    program["queries"].append(
        program["queries"][0]
        | {"id": "all", "statement": f"marginal {' * '.join(names)}", "columns": names}
    )
    data["rounds"][0]["releases"].append(
        data["rounds"][0]["releases"][0] | {"query": "all", "raw_cells": 1, "opened": 1}
    )
    assert "cells" in refusal(data)


@pytest.mark.parametrize("pair", [("0", "0.0000"), ("1e2", "100"), ("CIN", " CIN"), ("-0", "0")])
def test_two_values_that_no_reader_can_tell_apart(data: Any, pair: tuple[str, str]) -> None:
    column = data["program"]["columns"][0]
    column["values"][:2] = pair
    column["otherwise"] = None
    assert "are the same to a reader" in refusal(data)


def test_unprintable_keys(data: Any) -> None:
    data["program"]["person"]["key"] = "patient\u202e"
    assert "printable" in refusal(data)


@pytest.mark.parametrize("text", ["1e999999999", "1E-999999999", "1_0", "٣", " 1", "1" * 5000])
def test_rationals_are_read_in_no_time(data: Any, text: str) -> None:
    data["program"]["privacy"]["epsilon"] = text
    start = time.monotonic()
    with pytest.raises(ValidationError):
        read_node(Plan, json.dumps(data))
    assert time.monotonic() - start < 1


def with_histograms(data: Any, number: int, *, distinct: bool = False) -> None:
    """So many more histograms of one column, with equal or with distinct noise."""
    program, release = data["program"], data["rounds"][0]["releases"]
    plain = next(m for m in program["queries"] if m["panel"] is None and len(m["columns"]) == 1)
    one = next(r for r in release if r["query"] == plain["id"])
    honest = len(data["parties"]) - data["threshold"]
    for k in range(number):
        name = f"again {k}"
        program["queries"].append(plain | {"id": name})
        noise = {"variance": str(honest * (100 + k)), "party_variance": str(100 + k)}
        changed = {"noise": one["noise"] | noise} if distinct else {}
        release.append(one | {"query": name} | changed)
        data["openings"].append(
            {"round": 1, "query": name, "values": one["opened"], "recipients": "parties"}
        )


def test_a_thousand_histograms_are_verified_soon(data: Any) -> None:
    with_histograms(data, 1000)
    assert "more than the budget" in refusal(data)


def test_a_thousand_distinct_noises_are_verified_soon(data: Any) -> None:
    with_histograms(data, 1000, distinct=True)
    assert "more than the budget" in refusal(data)


def test_more_distinct_noises_than_an_accountant_composes(data: Any) -> None:
    with_histograms(data, 5000, distinct=True)
    assert "different noises, more than the 4,096 that an accountant composes" in refusal(data)
