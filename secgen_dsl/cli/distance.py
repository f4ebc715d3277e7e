"""`--latency` and `--bandwidth`: a run on this machine as if its sites were far from each other."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click


def distance_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds both options; the command gets them as one argument, ``distance`` (None: none given)."""

    @click.option(
        "--latency",
        metavar="TIME",
        callback=_read("read_latency"),
        help="Simulate a distance: the time that a byte takes from one party to another, for "
        "example 50ms (an answer takes twice as long).",
    )
    @click.option(
        "--bandwidth",
        metavar="RATE",
        callback=_read("read_bandwidth"),
        help="Simulate the bits a second that a party can send to all others together, for "
        "example 20mbit.",
    )
    @wraps(function)
    def wrapped(*args: Any, latency: float | None, bandwidth: float | None, **kwargs: Any) -> None:
        if latency is None and bandwidth is None:
            function(*args, distance=None, **kwargs)
            return
        from secgen_dsl.runtime.network.distance import Distance

        function(*args, distance=Distance(latency or 0.0, bandwidth), **kwargs)

    return wrapped


def _read(name: str) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    def read(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        from secgen_dsl.runtime.network import distance

        reader: Callable[[str], float] = getattr(distance, name)
        try:
            return reader(value)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from error

    return read
