"""Figures that stand in the text of pages are computed again."""

import re
from fractions import Fraction
from math import ceil
from pathlib import Path
from statistics import NormalDist

from click.testing import CliRunner

from secgen_dsl.cli.main import group
from secgen_dsl.privacy.gdp import epsilon_for_mu, mu_for_budget
from tests.conftest import SPECS
from tests.docs.pages import DOCS

DELTA = Fraction(1, 10**6)
NORMAL = NormalDist()
PAGE = (DOCS / "how-to" / "choosing-epsilon.md").read_text(encoding="utf-8")


def test_the_attackers_odds() -> None:
    """Φ(μ/2), and Φ(Φ⁻¹(.01) + μ) of 1,000 (Dong, Roth, Su 2022)."""
    rows = re.findall(r"^\| ([0-9.]+) \| ([0-9.]+)% \| ([0-9]+) of 1,000", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == ["0.5", "1", "2", "4", "8"]
    for epsilon, right, flagged in rows:
        mu = float(mu_for_budget(Fraction(epsilon), DELTA))
        assert f"{100 * NORMAL.cdf(mu / 2):.1f}" == right
        assert ceil(1000 * NORMAL.cdf(NORMAL.inv_cdf(0.01) + mu)) == int(flagged)


def test_runs_add_up() -> None:
    mu = mu_for_budget(Fraction(4), DELTA)
    twice = epsilon_for_mu(mu * Fraction(2**0.5), DELTA)
    thrice = epsilon_for_mu(mu * Fraction(3**0.5), DELTA)
    assert "ε = 6 together, three about 7.5" in " ".join(PAGE.split())
    assert round(float(twice)) == 6
    assert round(2 * float(thrice)) / 2 == 7.5


def test_the_curve_in_the_page_is_what_the_command_draws(tmp_path: Path) -> None:
    drawn = tmp_path / "errors.svg"
    arguments = ["plan", str(SPECS / "colorectal.secgen"), "--curve", str(drawn)]
    assert CliRunner().invoke(group, arguments).exit_code == 0
    shown = (DOCS / "assets" / "error-curve.svg").read_text(encoding="utf-8")
    assert drawn.read_text(encoding="utf-8") == shown
