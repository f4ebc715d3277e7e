"""Figures that stand in the text of pages are computed again."""

import re
from fractions import Fraction
from math import ceil
from pathlib import Path
from statistics import NormalDist

from click.testing import CliRunner

from secgen_dsl.cli.main import group
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.privacy.spend import composed_epsilon, epsilon_if_fixed, spend_of
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


def test_runs_add_up(colorectal: PlannedStudy) -> None:
    """What the ledger counts, and in brackets what holds of plans that were fixed before."""
    page = " ".join(PAGE.split())
    spend = spend_of(colorectal.plan)
    twice, thrice = [spend] * 2, [spend] * 3
    adaptive = [composed_epsilon(spends, DELTA) for spends in (twice, thrice)]
    assert "ε = {:.2f} together, three {:.2f}, if".format(*adaptive) in page
    fixed = [epsilon_if_fixed(spends, DELTA) for spends in (twice, thrice)]
    assert None not in fixed
    assert "before the first: {:.2f} and {:.2f}.".format(*(x for x in fixed if x)) in page
    policy = " ".join((DOCS / "reference" / "site-toml.md").read_text(encoding="utf-8").split())
    assert "count as {1:.2f}, two as {0:.2f}".format(*adaptive) in policy
    assert "max_epsilon = 8" in policy
    assert adaptive[1] <= 8 < composed_epsilon([spend] * 4, DELTA)


def test_the_curve_in_the_page_is_what_the_command_draws(tmp_path: Path) -> None:
    drawn = tmp_path / "errors.svg"
    arguments = ["plan", str(SPECS / "colorectal.secgen"), "--curve", str(drawn)]
    assert CliRunner().invoke(group, arguments).exit_code == 0
    shown = (DOCS / "assets" / "error-curve.svg").read_text(encoding="utf-8")
    assert drawn.read_text(encoding="utf-8") == shown
