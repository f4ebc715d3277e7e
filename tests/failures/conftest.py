"""Keys and bundle once for all tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.commands import secgen
from tests.conftest import SPECS
from tests.failures.sites import Running, Sites, Study, make_sites

PARTIES = ("north", "south", "university")


def by_command(*arguments: str | Path) -> None:
    """A command of secgen in this process."""
    ended = secgen(*arguments)
    assert ended.code == 0, ended.err + ended.out


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Sites:
    """Two hospitals and a helper: the smallest study that has all there is."""
    data = {"north": SPECS / "data/europe.csv.gz", "south": SPECS / "data/south.csv.gz"}
    folder = tmp_path_factory.mktemp("sites")
    return make_sites(SPECS / "two_hospitals.secgen", data, PARTIES, folder, by_command)


Begin = Callable[..., Running]


@pytest.fixture
def study(sites: Sites, tmp_path: Path) -> Study:
    """The study at its sites, none of which has run yet."""
    return Study(sites, tmp_path / "homes")


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts parties, none of which outlives the test."""
    begun: list[Running] = []

    def run(study: Study, *arguments: object, **options: object) -> Running:
        begun.append(study.run(*arguments, **options))  # type: ignore[arg-type]
        return begun[-1]

    yield run
    for running in begun:
        running.stop()
