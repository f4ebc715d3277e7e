"""The IR's numbers and JSON have one form each."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.ir.base import BigInteger, Node, Rational, canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Program, decimal_text
from secgen_dsl.ir.statement import canonical_statement


class Pair(Node):
    share: Rational
    modulus: BigInteger


@given(st.fractions(), st.integers(0, 2**70))
def test_numbers_survive_exactly(share: Fraction, modulus: int) -> None:
    pair = Pair(share=share, modulus=modulus)
    assert read_node(Pair, canonical_json(pair)) == pair
    assert canonical_json(pair) == f'{{"modulus":"{modulus}","share":"{share}"}}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        '{"modulus":"1","share":"2/4"}',
        '{"modulus":"1","share":"0.5"}',
        '{"modulus":"1","share":0.5}',
        '{"modulus":"1","share":"1/0"}',
        '{"modulus":"1","share":" 1"}',
        '{"modulus":"01","share":"1"}',
        '{"modulus":"-1","share":"1"}',
        '{"modulus":true,"share":"1"}',
        '{"modulus":"1","share":"1","more":1}',
        '{"modulus":"1"}',
        "[]",
        "",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        read_node(Pair, text)


def test_plans_survive_and_keep_their_hash(
    colorectal: PlannedStudy, two_hospitals: PlannedStudy
) -> None:
    for planned in (colorectal, two_hospitals):
        again = read_node(Plan, canonical_json(planned.plan))
        assert again == planned.plan
        assert sha256_of(again) == planned.verified.plan_sha256
        program = read_node(Program, canonical_json(planned.plan.program))
        assert program == planned.plan.program


def test_statements_are_what_the_spec_says(colorectal: PlannedStudy) -> None:
    marginals = colorectal.plan.program.queries
    assert [marginal.statement for marginal in marginals] == [
        "marginal subtype",
        "marginal sex * subtype",
        "marginal subtype * cycle in 4 bins from elsewhere",
        "marginal subtype * repair in 10 equal bins weight 10",
    ]
    assert all(marginal.statement == canonical_statement(marginal) for marginal in marginals)


@pytest.mark.parametrize(
    ("number", "text"),
    [("4", "4"), ("1/4", "0.25"), ("1/3", "1/3"), ("1/1000000", "1e-6"), ("19/2", "9.5")],
)
def test_decimal_text(number: str, text: str) -> None:
    assert decimal_text(Fraction(number)) == text
