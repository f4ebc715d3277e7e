"""The README shows what the repository holds."""

import re

from tests.conftest import ROOT, SPECS


def test_the_spec_in_the_readme_is_the_one_that_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    spec = (SPECS / "two_hospitals.secgen").read_text(encoding="utf-8")
    assert f"```\n{spec.rstrip()}\n```" in readme


def test_paths_in_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    paths = set(
        re.findall(r"`((?:specs|tools|benchmarks|docs|tests|grammar|backends)/[\w./-]*)`", readme)
    )
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path
