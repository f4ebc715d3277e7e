"""[policy] of a site.toml: what a site allows to be spent on its people; refuses a plan."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

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

    @model_validator(mode="before")
    @classmethod
    def _together(cls, data: Any) -> Any:
        if isinstance(data, dict) and ("max_epsilon" in data) != ("delta" in data):
            raise PydanticCustomError("max_epsilon_and_delta", "max_epsilon goes with delta")
        return data

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


def _text(number: Fraction) -> str:
    return f"{float(number):.6g}"
