import subprocess
import sys

PROGRAM = """
import sys
from secgen_dsl.privacy import events, gdp, pld, renyi, second_opinion, sensitivity, slack
from secgen_dsl.runtime import noise
from fractions import Fraction
pld.epsilon_upper_bound([events.ShiftedGaussian(Fraction(30), 1, 9)], Fraction(1, 10**5))
heavy = {"dp_accounting", "opendp", "scipy", "mpyc", "pandas"} & set(sys.modules)
sys.exit(f"imported at once: {sorted(heavy)}" if heavy else 0)
"""


def test_certifying_imports_no_heavy_library() -> None:
    """`secgen check` starts quickly only if numpy and mpmath suffice (issue 2: 2 s in all)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
