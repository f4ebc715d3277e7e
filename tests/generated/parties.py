"""All parties of a plan in one process: the generated program, the real party, mesh and sharing.

What differs from a real run: the parties share a process, their noise is a test's, and later rounds
follow at once.
"""

import asyncio
import hashlib
import secrets
import socket
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
from secgen_dsl.ir.base import canonical_json
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.queries.table import SampleTable, empty_table
from secgen_dsl.runtime.noise import NoiseSource
from secgen_dsl.runtime.store import ContributionStore
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
    mpc = start_mpyc(0, 3, 1)  # additions and shares of arrays ask nothing of the number of parties
    program = ModuleType("secgen_generated_program")
    text = generate_program(plan, sources)
    exec(compile(text, "program.py", "exec"), program.__dict__)  # noqa: S102 (our own text)
    loop: asyncio.AbstractEventLoop = mpc._loop
    with ExitStack() as stack:
        parties = [
            Impatient(
                config,
                plan,
                table=tables.get(plan.parties[config.index], empty_table(plan.program)),
                noise=noise_of(config.index),
                debit=debit_of_plan(plan),
                store=stack.enter_context(ContributionStore(folder / f"{config.index}.sqlite")),
                mpc=mpc,
                report=lambda phase, sent: None,
            )
            for config in _configs(plan, text, sources)
        ]
        loop.run_until_complete(_together(program, parties))
        opened = [party.measurements() for party in parties]
    assert all(measurements == opened[0] for measurements in opened)
    return opened[0]


async def _together(program: ModuleType, parties: list[Party]) -> None:
    await asyncio.gather(*(program.protocol(party) for party in parties))


def _configs(plan: Plan, text: str, sources: Mapping[str, str]) -> list[PartyConfig]:
    parties = range(len(plan.parties))
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in parties]
    ports = tuple(listener.getsockname()[1] for listener in listeners)
    pairs = {frozenset({i, j}): secrets.token_hex(32) for i in parties for j in parties}
    session = secrets.token_hex(16)
    return [
        PartyConfig(
            format="secgen.party/1",
            index=index,
            plan=canonical_json(plan).decode(),
            program=text,
            source_lines=dict(sources),
            data_file=None,
            state="",
            listener=listeners[index].detach(),
            ports=ports,
            session=session,
            secrets=tuple(pairs[frozenset({index, other})] for other in parties),
            timeout=60.0,
        )
        for index in parties
    ]
