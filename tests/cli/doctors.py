"""Doctors of machines that something is the matter with: ``python -m tests.cli.doctors WHAT …``."""

import sys
from collections.abc import Callable

from secgen_dsl.cli import examination
from secgen_dsl.cli.main import main
from secgen_dsl.runtime.network import check, doctor

AHEAD = 90
"""Seconds."""


def clock_ahead() -> None:
    setattr(doctor, "clock", lambda: check.clock() + 1000 * AHEAD)  # noqa: B010


def other_release() -> None:
    setattr(examination, "__version__", "0.0.9")  # noqa: B010


MATTERS: dict[str, Callable[[], None]] = {
    "clock ahead": clock_ahead,
    "other release": other_release,
}


if __name__ == "__main__":
    MATTERS[sys.argv.pop(1)]()
    main()
