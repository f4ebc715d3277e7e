"""[policy] of a site.toml: what a site allows to be spent on its people; refuses a plan."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor, log10
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from secgen_dsl.ir.program import decimal_text
from secgen_dsl.privacy.gdp import epsilon_for_mu
from secgen_dsl.privacy.spend import Spend, composed_epsilon

_EXPONENTS = range(-200, 7)
"""Decimal exponents that a number may have: others would take for ever as rationals."""


def _positive(value: object) -> Fraction:
    fault = PydanticCustomError("positive_number", "a number greater than 0")
    if isinstance(value, bool) or not isinstance(value, int | Decimal | Fraction):
        raise fault
    if isinstance(value, Fraction):
        return value
    number = Decimal(value) if isinstance(value, int) and abs(value) < 10**9 else value
    if not isinstance(number, Decimal) or not number.is_finite() or number <= 0:
        raise fault
    if number.adjusted() not in _EXPONENTS or len(number.as_tuple().digits) > 50:
        raise fault
    return Fraction(number)


def _probability(value: object) -> Fraction:
    number = _positive(value)
    if number >= 1:
        raise PydanticCustomError("probability", "a number between 0 and 1")
    return number


class Policy(BaseModel):
    """What a site allows.  Without a key there is no such limit.

    Attributes:
        max_epsilon: most ε that all plans together may come to, at ``delta``.
        delta: the δ of that ε; stated whenever ``max_epsilon`` is.
        max_studies: most debits.
        max_delta: most δ that a single plan may state.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    max_epsilon: Annotated[Fraction, PlainValidator(_positive)] | None = None
    delta: Annotated[Fraction, PlainValidator(_probability)] | None = None
    max_studies: int | None = Field(default=None, ge=0)
    max_delta: Annotated[Fraction, PlainValidator(_probability)] | None = None

    @model_validator(mode="after")
    def _together(self) -> "Policy":
        if (self.max_epsilon is None) != (self.delta is None):
            raise PydanticCustomError("max_epsilon_and_delta", "max_epsilon goes with delta")
        return self

    def refusals(self, spent: Sequence[Spend], plan: Spend) -> Iterator[tuple[str, str]]:
        """Why a plan is refused: for each limit that it exceeds the key, and a reason in words.

        Args:
            spent: what the ledger holds.
            plan: what the plan would add.
        """
        if self.max_delta is not None and plan.delta > self.max_delta:
            yield (
                "max_delta",
                f"the plan's delta {float(plan.delta):.3g} is greater than {_text(self.max_delta)}",
            )
        if self.max_studies is not None and len(spent) + 1 > self.max_studies:
            yield (
                "max_studies",
                f"{len(spent)} of {self.max_studies} studies have been debited",
            )
        if self.max_epsilon is not None and self.delta is not None:
            total = composed_epsilon([*spent, plan], self.delta)
            if not total <= self.max_epsilon:
                yield (
                    "max_epsilon",
                    f"with this plan the epsilon of all studies would be {total:.6g} at delta "
                    f"{_text(self.delta)}, more than {_text(self.max_epsilon)}",
                )

    def next_step(self, key: str, spent: Sequence[Spend], plan: Spend) -> str:
        """What a plan could ask for instead, where ``refusals`` named that key."""
        if key == "max_delta" and self.max_delta is not None:
            return f"write `delta {decimal_text(self.max_delta)}` or less in the spec's `privacy`"
        room = self.room(spent, plan) if key == "max_epsilon" else 0.0
        if room is None:
            return "ask for less epsilon in the spec's `privacy`"
        if room == 0:
            return "no further plan fits, however little it asks for"
        return (
            f"about epsilon {room:g} at this plan's delta {decimal_text(plan.delta)} still fits: "
            "write less in the spec's `privacy`"
        )

    def room(self, spent: Sequence[Spend], plan: Spend) -> float | None:
        """About how much ε at the plan's δ ``max_epsilon`` leaves to a plan with Gaussian noise.

        An estimate, for planning: the ε of the largest μ that fits, rounded down to two digits.

        Returns:
            ε ≥ 0; None where it is not known: no such limit, or a plan with Laplace noise.
        """
        if self.max_epsilon is None or self.delta is None or plan.pure is not None:
            return None
        low, high = Fraction(0), plan.mu_squared
        for _ in range(40):
            middle = (low + high) / 2
            less = plan.model_copy(
                update={"mu_squared": middle, "slack": Fraction(0), "events": None}
            )
            if composed_epsilon([*spent, less], self.delta) <= self.max_epsilon:
                low = middle
            else:
                high = middle
        epsilon = epsilon_for_mu(float(low) ** 0.5, float(plan.delta))
        if epsilon == 0:
            return 0.0
        digit = 10.0 ** (floor(log10(epsilon)) - 1)
        return floor(epsilon / digit) * digit


def _text(number: Fraction) -> str:
    return f"{float(number):.6g}"
