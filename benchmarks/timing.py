"""How long a step takes, for the benchmarks of this folder."""

from collections.abc import Callable
from typing import TypeVar

ValueT = TypeVar("ValueT")


def timed(
    run: Callable[[], ValueT], times: int, clock: Callable[[], float]
) -> tuple[ValueT, float]:
    """What it returns, and the least seconds by ``clock``."""
    taken = []
    for _ in range(times):
        start = clock()
        value = run()
        taken.append(clock() - start)
    return value, round(min(taken), 2)
