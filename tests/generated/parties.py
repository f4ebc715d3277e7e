"""All parties of a plan in one process: the generated program, the real party, mesh and sharing.

What differs from a real run: the parties share a process, their noise is a test's, and later rounds
follow at once.
"""

import asyncio
import hashlib
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from fractions import Fraction
from math import isqrt
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.messages import PartyConfig
from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.backends.mpyc.sharing import start_mpyc
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.noise import NoiseSource
from secgen_dsl.runtime.store import ContributionStore
from tests.mpyc.parties import config_of, consortium_of, party_of
from tests.runtime.spends import debit_of_plan


class InjectedNoise:
    """Integers that a test can compute again: different for each party and marginal."""

    def __init__(self, index: int) -> None:
        self._index = index

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        text = f"{self._index} {marginal} {variance}".encode("utf-8", "surrogatepass")
        seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
        spread = min(4 * isqrt(int(variance) + 1), 2**50)
        return np.random.default_rng(seed).integers(-spread, spread + 1, cells, dtype=np.int64)

    def draw_polya(
        self, marginal: str, cells: int, scale: Fraction, parts: int
    ) -> NDArray[np.int64]:
        return self.draw(f"{marginal} in {parts} parts", cells, scale)


class Impatient(Party):
    """The real party, but for the seconds that later rounds wait."""

    async def wait(self, number: int) -> None:
        assert self._round(number).delay > 0
        await asyncio.sleep(0)


def run_in_process(
    plan: Plan,
    sources: Mapping[str, str],
    tables: Mapping[str, SampleTable],
    folder: Path,
    noise_of: Callable[[int], NoiseSource] = InjectedNoise,
) -> Measurements:
    """What the parties open, which must be the same at all of them.

    Args:
        sources: marginal id → place of its statement.
        tables: silo → its people.
        folder: for the parties' stores; empty but in a restart.
        noise_of: a party's index → where its noise comes from.
    """
    program = ModuleType("secgen_generated_program")
    text = generate_program(plan, sources)
    exec(compile(text, "program.py", "exec"), program.__dict__)  # noqa: S102 (our own text)
    # Additions and shares of arrays ask nothing of the number of parties.
    loop: asyncio.AbstractEventLoop = start_mpyc(0, 3, 1)._loop
    with ExitStack() as stack:
        keys = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        parties = [
            party_of(
                config,
                plan,
                keys / "transcripts",
                stack.enter_context(ContributionStore(folder / f"{config.index}.sqlite")),
                noise_of(config.index),
                debit_of_plan(plan),
                tables.get(plan.parties[config.index]),
                listener,
                kind=Impatient,
            )
            for config, listener in _configs(plan, keys / "keys", text, sources)
        ]
        loop.run_until_complete(_together(program, parties))
        opened = [party.measurements() for party in parties]
    assert all(measurements == opened[0] for measurements in opened)
    return opened[0]


async def _together(program: ModuleType, parties: list[Party]) -> None:
    await asyncio.gather(*(program.protocol(party) for party in parties))


def _configs(
    plan: Plan, folder: Path, text: str, sources: Mapping[str, str]
) -> list[tuple[PartyConfig, socket.socket]]:
    consortium = consortium_of(plan, folder)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in plan.parties]
    ports = [listener.getsockname()[1] for listener in listeners]
    facts = {
        "program": text,
        "source_lines": dict(sources),
        "connect_timeout": 60.0,
        "timeout": 60.0,
    }
    return [
        (config_of(plan, consortium, index, ports, **facts), listener)
        for index, listener in enumerate(listeners)
    ]
