"""Noise sources of the trials: the system's, watched; and wrong ones, to see that trials notice."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.runtime.noise import SystemNoise
from tests.trials.laws import discrete_gaussian, polya_share

_TABULATED = 10**6
"""Greater variances are not drawn from a table."""


@dataclass
class Watched:
    """The system's noise; remembers every request and answer."""

    requests: list[tuple[str, int, Fraction]] = field(default_factory=list)
    answers: list[NDArray[np.int64]] = field(default_factory=list)

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        self.requests.append((marginal, cells, variance))
        self.answers.append(SystemNoise().draw(marginal, cells, variance))
        return self.answers[-1]

    def draw_polya(
        self, marginal: str, cells: int, scale: Fraction, parts: int
    ) -> NDArray[np.int64]:
        self.requests.append((f"{marginal} in {parts} parts", cells, scale))
        self.answers.append(SystemNoise().draw_polya(marginal, cells, scale, parts))
        return self.answers[-1]


@dataclass
class Batched:
    """The system's noise, drawn for many runs in one call and handed out once each."""

    runs: int = 200
    _left: dict[tuple[str, int, Fraction, int], list[NDArray[np.int64]]] = field(
        default_factory=dict
    )

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        left = self._left.setdefault((marginal, cells, variance, 0), [])
        if not left:
            drawn = SystemNoise().draw(marginal, self.runs * cells, variance)
            left.extend(drawn.reshape(self.runs, cells))
        return left.pop()

    def draw_polya(
        self, marginal: str, cells: int, scale: Fraction, parts: int
    ) -> NDArray[np.int64]:
        left = self._left.setdefault((marginal, cells, scale, parts), [])
        if not left:
            drawn = SystemNoise().draw_polya(marginal, self.runs * cells, scale, parts)
            left.extend(drawn.reshape(self.runs, cells))
        return left.pop()


@dataclass
class Tabulated:
    """Seeded noise of ``factor`` times the variance (or Laplace scale) asked for, from a table.

    Never a stand-in for the real noise: it shows what a trial says of noise that is wrong.
    """

    generator: np.random.Generator
    factor: Fraction = Fraction(1)
    _tables: dict[Fraction, tuple[NDArray[np.int64], NDArray[np.float64]]] = field(
        default_factory=dict
    )

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        if variance > _TABULATED:  # a rounded normal number has the same law, but for nobody's eyes
            spread = float(variance * self.factor) ** 0.5
            return np.rint(self.generator.normal(0, spread, cells)).astype(np.int64)
        if variance not in self._tables:
            x, mass = discrete_gaussian(float(variance * self.factor))
            self._tables[variance] = (x, np.cumsum(mass))
        return self._from_table(variance, cells)

    def draw_polya(
        self, marginal: str, cells: int, scale: Fraction, parts: int
    ) -> NDArray[np.int64]:
        if scale not in self._tables:
            x, mass = polya_share(float(scale * self.factor), parts)
            self._tables[scale] = (x, np.cumsum(mass))
        return self._from_table(scale, cells)

    def _from_table(self, key: Fraction, cells: int) -> NDArray[np.int64]:
        x, below = self._tables[key]
        places = np.searchsorted(below, self.generator.random(cells) * below[-1])
        return x[places]


@dataclass
class Reused(Tabulated):
    """Right noise, but one vector of it for all tables of a release: every table has the same."""

    period: int = 1

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        few = super().draw(marginal, min(self.period, cells), variance)
        return np.resize(few, cells)
