"""What many tests share: the committed specs, planned once."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from secgen_dsl.cli.study import PlannedStudy, plan_spec
from tests.field import FieldRun, make_field

ROOT = Path(__file__).resolve().parent.parent
SPECS = ROOT / "specs"

# The quick run is repeatable; the full one looks further each time.
settings.register_profile("default", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("full", deadline=None, max_examples=2000)
settings.load_profile("full" if os.environ.get("SECGEN_FULL") else "default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="slow: `make test-full` runs it")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def colorectal() -> PlannedStudy:
    """Study A: three silos, plain and centred tables, a public reference."""
    return plan_spec(SPECS / "colorectal.secgen")


@pytest.fixture(scope="session")
def two_hospitals() -> PlannedStudy:
    """Study D: two silos and a helper, edges written in the spec, a histogram that is added."""
    return plan_spec(SPECS / "two_hospitals.secgen")


@pytest.fixture(scope="session")
def field_run(two_hospitals: PlannedStudy, tmp_path_factory: pytest.TempPathFactory) -> FieldRun:
    """A run of three sites over mutual TLS, and a later one in which an opening was changed."""
    folder = tmp_path_factory.mktemp("field")
    field = make_field(two_hospitals, folder)

    def all_sites(behaviour: str) -> dict[str, Path]:
        left = field.run(behaviour)
        return {
            name: field.results(name, path, folder / behaviour / name)
            for name, path in left.items()
        }

    return FieldRun(field, all_sites("injected"), all_sites("tamper"))


@pytest.fixture(scope="session")
def five_parties() -> PlannedStudy:
    """Three silos and two helpers, t = 2."""
    return plan_spec(SPECS / "five_parties.secgen")


@pytest.fixture(scope="session")
def pure() -> PlannedStudy:
    """Delta 0: discrete Laplace noise, an accuracy target."""
    return plan_spec(SPECS / "pure.secgen")
