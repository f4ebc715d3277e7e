"""What pages are checked with."""

import shutil
import subprocess
import tarfile

import pytest

_AXE = "axe-core@4.14.1"  # MPL-2.0: fetched, not copied


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checker's source, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"no npm to fetch {_AXE} with")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run([npm, "pack", "--silent", _AXE], cwd=folder, check=False)
    archives = list(folder.glob("axe-core-*.tgz"))
    if packed.returncode or not archives:
        pytest.skip(f"npm could not fetch {_AXE}")
    with tarfile.open(archives[0]) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()
