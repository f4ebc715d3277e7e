"""`make mutations`: do the tests notice the classic bugs of differential privacy?

Puts every bug of ``tools.mutation_table``, one at a time, into a temporary copy of the tree, runs
the tests named with it, and shows which test noticed.  The tree itself is never touched.  Ends with
1 if a bug is missed, if a test run breaks off, or if a bug's text is no longer in the code.

``python -m tools.mutations [WORDS]``: only the bugs whose name has these words.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.mutation import Mutation
from tools.mutation_table import MUTATIONS

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("secgen_dsl", "backends", "grammar", "specs", "tests", "tools", "pyproject.toml")
WITHIN_THE_PACKAGE = ("backends", "grammar")
"""pyproject's package-dir: folders beside the package that are installed inside it."""

JOBS = 2
SECONDS = 300
_NOTICED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What the tests said of a mutation.

    Attributes:
        said: ``caught``, ``missed`` or ``broken``.
        by: the test that failed; or what broke.
    """

    said: str
    by: str
    seconds: float


def stale(mutation: Mutation) -> list[str]:
    """Why a mutation no longer fits the tree."""
    faults = []
    for edit in mutation.edits:
        path = ROOT / edit.file
        found = path.read_text(encoding="utf-8").count(edit.old) if path.is_file() else 0
        if found != 1:
            faults.append(f"{edit.file} holds its text {found} times, not once: {edit.old!r}")
    for test in mutation.tests:
        if not (ROOT / test.split("::")[0]).exists():
            faults.append(f"there is no {test}")
    return faults


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy of the tree, laid out so that it is imported in place of the installed package."""
    with tempfile.TemporaryDirectory(prefix="secgen-mutation-") as name:
        copy = Path(name)
        for entry in COPIED:
            source = ROOT / entry
            if source.is_file():
                shutil.copy2(source, copy / entry)
            else:
                # With times and compiled files, so that only what is edited is compiled again.
                shutil.copytree(source, copy / entry)
        for entry in WITHIN_THE_PACKAGE:
            (copy / "secgen_dsl" / entry).symlink_to(copy / entry, target_is_directory=True)
        yield copy


def apply(mutation: Mutation, copy: Path) -> None:
    """Make the edits.  Raises ValueError if a text is not there exactly once."""
    for edit in mutation.edits:
        path = copy / edit.file
        text = path.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise ValueError(f"{mutation.bug}: {edit.file} does not hold {edit.old!r} once")
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def run_tests(
    copy: Path, tests: Sequence[str], seconds: float = SECONDS
) -> subprocess.CompletedProcess[str]:
    """Pytest on the copy, until the first failure."""
    environment = {name: value for name, value in os.environ.items() if name != "SECGEN_FULL"}
    options = ["-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=copy,
        env={**environment, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def try_out(mutation: Mutation) -> Outcome:
    """Run a mutation's tests on a copy that has the bug."""
    start = time.monotonic()
    with copied_tree() as copy:
        apply(mutation, copy)
        try:
            done = run_tests(copy, mutation.tests)
        except subprocess.TimeoutExpired:
            return Outcome("broken", f"no end in {SECONDS} s", time.monotonic() - start)
    seconds = time.monotonic() - start
    noticed = _NOTICED.search(done.stdout)
    if done.returncode == 1 and noticed:
        return Outcome("caught", noticed[1], seconds)
    if done.returncode == 0:
        return Outcome("missed", ", ".join(mutation.tests), seconds)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return Outcome("broken", lines[-1] if lines else f"exit {done.returncode}", seconds)


def check_the_copy(tests: Sequence[str]) -> None:
    """The copy itself is what is imported, and without a bug its tests pass."""
    with copied_tree() as copy:
        where = subprocess.run(
            [sys.executable, "-c", "import secgen_dsl.backends as b; print(b.__file__)"],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        if not where.startswith(str(copy)):
            sys.exit(f"tests of a copy would import {where}: nothing was tried")
        done = run_tests(copy, tests, 4 * SECONDS)
        if done.returncode != 0:
            sys.exit(f"without a bug the tests do not pass: nothing was tried\n{done.stdout}")


def main() -> int:
    words = " ".join(sys.argv[1:])
    chosen = [mutation for mutation in MUTATIONS if words in mutation.bug]
    faults = [f"{m.bug}: {fault}" for m in chosen for fault in stale(m)]
    if faults or not chosen:
        print("\n".join(faults or [f"no bug is called {words!r}"]))
        return 1
    start = time.monotonic()
    width = max(len(mutation.bug) for mutation in chosen)
    every_test = sorted({test for mutation in chosen for test in mutation.tests})
    outcomes = []
    with ThreadPoolExecutor(JOBS) as pool:
        sound = pool.submit(check_the_copy, every_test)
        for mutation, outcome in zip(chosen, pool.map(try_out, chosen), strict=True):
            outcomes.append(outcome)
            line = f"{mutation.bug:<{width}}  {outcome.said}  {outcome.seconds:5.1f} s  "
            print(line + outcome.by, flush=True)
        sound.result()
    caught = sum(outcome.said == "caught" for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} caught in {time.monotonic() - start:.0f} s")
    return 0 if caught == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
