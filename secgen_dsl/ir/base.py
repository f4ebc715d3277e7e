"""What every model of the IR shares: frozen nodes, exact rationals, canonical JSON, hashes.

A program and a plan hold strings, integers and rationals: no floats (two machines could print
them differently), no library versions and no positions in a text.  Their canonical JSON (RFC 8785)
is therefore the same on every machine, and its SHA-256 is what the sites approve.
"""

import hashlib
import json
import re
from fractions import Fraction
from typing import Annotated, Any, Self, TypeVar

import rfc8785
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema

_RATIONAL = re.compile(r"-?[0-9]{1,1000}(/[0-9]{1,1000})?")


class Node(BaseModel):
    """A frozen, strict model: an unknown field or a value of another type is an error.

    What a node derives from its fields it may keep (``cached_property``); a changed copy does not
    take it over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __copy__(self) -> Self:
        copied = super().__copy__()
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


def _read_rational(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if not isinstance(value, str):
        raise ValueError("a rational is written as text, for example '7/2'")
    if not _RATIONAL.fullmatch(value):  # before Fraction, which would expand 1e999999999
        raise ValueError("a rational is written as in '7/2' or '-3', with at most 1,000 digits")
    try:
        number = Fraction(value)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{value!r} is not a rational") from error
    if str(number) != value:
        raise ValueError(f"{value!r} is not in canonical form; write '{number}'")
    return number


def _read_big_integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise ValueError("a large integer is written as decimal text")
    if str(int(value)) != value:
        raise ValueError(f"{value!r} is not in canonical form")
    return int(value)


Rational = Annotated[
    Fraction,
    PlainValidator(_read_rational),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(/\d+)?$"}),
]
"""An exact rational, in lowest terms, written as text: ``"7/2"``, ``"4"``."""

BigInteger = Annotated[
    int,
    PlainValidator(_read_big_integer),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+$"}),
]
"""A non-negative integer that may exceed JSON's exact range (2⁵³), written as decimal text."""

NodeT = TypeVar("NodeT", bound=Node)


def canonical_json(node: Node) -> bytes:
    """The one JSON form of ``node``: RFC 8785 (sorted keys, no white space, UTF-8)."""
    data: Any = node.model_dump(mode="json")
    return rfc8785.dumps(data)


def pretty_json(node: Node) -> bytes:
    """A node as indented JSON with sorted keys: for people; hashes are of the canonical form."""
    data = json.loads(canonical_json(node))
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def sha256_of(node: Node) -> str:
    """SHA-256 of the canonical JSON, as 64 lower-case hex digits."""
    return hashlib.sha256(canonical_json(node)).hexdigest()


def read_node(model: type[NodeT], text: bytes | str) -> NodeT:
    """Read ``model`` from JSON.

    Raises:
        pydantic.ValidationError: the text is not JSON, or not of this model.
    """
    return model.model_validate_json(text)
