"""Exact discrete noise on integer vectors, Gaussian or Laplace, from the system CSPRNG."""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.plan import LaplaceNoise, Release
from secgen_dsl.privacy.rounding import sqrt_not_below
from secgen_dsl.runtime.environment import forget_variables
from secgen_dsl.runtime.gaussian import LARGEST_VARIANCE, draw_gaussian
from secgen_dsl.runtime.polya import draw_polya

BULK_CELLS = 20_000
"""From so many cells of a draw on, secgen's own sampler (``gaussian``) draws Gaussian noise.

opendp's is the vetted one and draws wherever it is quick enough; it takes .3 to .7 s for so many
cells, and a quarter to half a minute for 10⁶, where ours takes a tenth of a second (decision 0016).
"""

_LIMIT = 2**62


class NoiseSource(Protocol):
    """Where a party's noise comes from.  Installed commands only ever use ``SystemNoise``."""

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        """``cells`` fresh independent discrete Gaussian integers of at least that variance σ²."""
        ...

    def draw_polya(
        self, marginal: str, cells: int, scale: Fraction, parts: int
    ) -> NDArray[np.int64]:
        """``cells`` fresh independent Pólya shares: ``parts`` add up to Laplace noise of b."""
        ...


class SystemNoise:
    """N_Z(0, σ²) with mass proportional to exp(−x²/2σ²), exactly: by opendp, or in bulk by secgen.

    Below ``BULK_CELLS`` cells opendp 0.16 draws, by the rational rejection sampler of Canonne,
    Kamath, Steinke (NeurIPS 2020), with σ the exact rational value of the float that it is given.
    Its random bits come from the generator of the OpenSSL that is linked into it, which the
    operating system's seeds and which reseeds itself in a forked process.  From so many cells on
    ``gaussian`` draws, with σ² exactly the rational that was asked for and bits of the operating
    system.  There is no seed, and no way to give one: every call draws afresh.
    """

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        """``cells`` fresh independent draws from N_Z(0, σ²), with σ² ≥ ``variance``.

        σ² exceeds ``variance`` by less than 2⁻⁵¹ of it, and not at all in bulk or if √variance is
        a float.

        Args:
            marginal: for whose cells the noise is; used in messages only.
            cells: length of the result, ≥ 0.
            variance: 0 < σ² ≤ 2¹⁰⁰, an exact rational.

        Returns:
            Integers, shape (cells,).

        Raises:
            ValueError: a negative length or a variance out of its range.
            SecgenError: SG401, the sampler failed or gave something that is not such a vector.
        """
        if cells < 0:
            raise ValueError("a noise vector cannot have a negative length")
        if cells == 0:
            return np.zeros(0, dtype=np.int64)
        if cells >= BULK_CELLS:
            return _by_the_system(marginal, lambda: draw_gaussian(cells, variance))
        scale = scale_not_below(variance)
        try:
            values = np.asarray(_sampler(scale)([0] * cells))
        except Exception as error:
            # Whatever went wrong inside the library, a party must stop without a share sent.
            raise _failure(marginal, f"the library reports: {_first_line(error)}") from error
        if values.shape != (cells,) or values.dtype != np.int64:
            raise _failure(marginal, f"{values.size} values came back for {cells} cells")
        if int(values.max()) > _LIMIT or int(values.min()) < -_LIMIT:
            raise _failure(marginal, "a value lies at the edge of 64-bit integers")
        return values

    def draw_polya(
        self, marginal: str, cells: int, scale: Fraction, parts: int
    ) -> NDArray[np.int64]:
        """``cells`` fresh independent differences of two Pólya numbers of shape 1/parts, exactly.

        secgen's own sampler (``polya``: opendp has none for shares), whose bits come from the
        operating system; there is no seed.

        Args:
            marginal: for whose cells the noise is; used in messages only.
            cells: length of the result, ≥ 0.
            scale: b, 0 < b ≤ 2⁴⁰.
            parts: n ≥ 2.

        Returns:
            Integers, shape (cells,).

        Raises:
            ValueError: a number out of its range.
            SecgenError: SG401, the system's generator failed.
        """
        return _by_the_system(marginal, lambda: draw_polya(cells, scale, parts))


def draw_cells(source: NoiseSource, release: Release) -> NDArray[np.int64]:
    """z: one party's noise on all raw cells of a release; the halved ones have σᵢ²/2.

    Returns:
        Integers, shape (release.raw_cells,).

    Raises:
        ValueError: the source returned something else than it was asked for.
    """
    noise = release.noise
    if isinstance(noise, LaplaceNoise):
        shares = source.draw_polya(release.query, release.raw_cells, noise.scale, noise.parts)
        if shares.shape != (release.raw_cells,) or shares.dtype != np.int64:
            raise ValueError(f"the noise of {release.query!r} is not that many int64 values")
        return shares
    variance = noise.party_variance
    parts = [(release.raw_cells - release.halved, variance), (release.halved, variance / 2)]
    drawn = [source.draw(release.query, cells, part) for cells, part in parts if cells]
    for (cells, _), values in zip([part for part in parts if part[0]], drawn, strict=True):
        if values.shape != (cells,) or values.dtype != np.int64:
            raise ValueError(f"the noise of {release.query!r} is not that many int64 values")
    return np.concatenate(drawn)


def scale_not_below(variance: Fraction) -> float:
    """The smallest float s with s² ≥ ``variance`` exactly, so that noise is never undercut.

    Args:
        variance: 0 < σ² ≤ 2¹⁰⁰.

    Raises:
        ValueError: the variance is out of its range.
    """
    if not 0 < variance <= LARGEST_VARIANCE:
        raise ValueError(f"a noise variance must be positive and at most 2^100, not {variance}")
    return sqrt_not_below(variance)


@lru_cache(maxsize=64)
def _sampler(scale: float) -> Any:
    """opendp's measurement that adds noise of that scale to an integer vector.

    The cache holds a description of the noise, not noise: the measurement keeps no state.
    """
    # OPENDP_LIB_DIR would choose the folder of the compiled library, and OPENSSL_CONF the random
    # generator of the OpenSSL within it.
    forget_variables("OPENDP_", "OPENSSL_")
    # Not opendp.prelude: it imports scikit-learn, which takes seconds.
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    # The sampler is proved and vetted, but opendp gates all of its measurements on this flag.
    enable_features("contrib")
    return make_gaussian(vector_domain(atom_domain(T="i64")), l2_distance(T=float), scale=scale)


def _by_the_system(marginal: str, draw: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
    """What a sampler draws with the system's bits.  Raises SecgenError SG401 if there are none."""
    try:
        return draw()
    except OSError as error:
        raise _failure(
            marginal,
            f"the system reports: {_first_line(error)}",
            "if it persists see whether programs on this machine get random numbers (a "
            "container or sandbox may deny the call getrandom)",
        ) from error


def _failure(marginal: str, what: str, remedy: str = "") -> SecgenError:
    remedy = remedy or "if it persists reinstall opendp and report it"
    return fail(
        "SG401",
        f'the noise for "{marginal}" could not be drawn: {what}',
        place=f'noise of "{marginal}"',
        next_step=f"nothing was sent; run again, and {remedy}",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
