"""Makes results again from a plan and its opened values, for an audit."""

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from secgen_dsl.cli.description import results_description
from secgen_dsl.cli.results import common_seed, write_rows
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.runtime.evidence.folder import (
    CERTIFICATE_FILE,
    DESCRIPTION_FILE,
    MEASURED_TABLE_FILE,
    SOURCES_FILE,
    STUDY_FILE,
)
from secgen_dsl.runtime.evidence.site import Remade, Site
from secgen_dsl.runtime.regular import hash_regular
from secgen_dsl.synthesis.measured_table import write_measured_table

if TYPE_CHECKING:
    from secgen_dsl.public.files import PublicFile

_NO_PUBLIC_FILE = "SG606"


class Remaker:
    """Makes the results of audited sites again; those of the same values only once.

    Args:
        bundle: the approved bundle, which holds the public files; None: none was given.
    """

    def __init__(self, bundle: PlannedStudy | None) -> None:
        self._bundle = bundle
        self._rows: dict[tuple[str, str], Remade] = {}

    def __call__(self, site: Site) -> Remade:
        """Description, table of opened values and synthetic rows, as this installation makes them.

        Args:
            site: audited; its plan and opened values hold.
        """
        plan, measurements = site.plan, site.measurements
        if plan is None or measurements is None:
            raise ValueError("a plan and opened values that hold are needed")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_measured_table(folder / MEASURED_TABLE_FILE, plan, measurements)
            lacking = _describe(site, plan, folder)
            made = {path.name: hash_regular(path) for path in folder.iterdir()}
        rows = self._synthetic_rows(site, plan, measurements)
        # Only rows are drawn, and so depend on numpy.  What a party says of its numpy nobody else
        # knows; its secgen stands in the hellos of all.
        uncertain = {
            **dict.fromkeys(made, _other_packages(site, "secgen")),
            **dict.fromkeys(rows.sha256, _other_packages(site, "secgen", "numpy")),
        }
        return Remade(
            sha256={**made, **rows.sha256},
            lacking={**lacking, **rows.lacking},
            uncertain={
                **{name: words for name, words in uncertain.items() if words},
                **rows.uncertain,
            },
        )

    def _synthetic_rows(self, site: Site, plan: Plan, measurements: Measurements) -> Remade:
        release = plan.program.samples
        if release is None or site.study is None:
            return Remade()
        files = [f"synthetic.{kind}" for kind in dict.fromkeys(release.formats)]
        if not site.between_sites:
            words = "a run on one machine draws its rows from a seed of its own"
            return Remade(lacking=dict.fromkeys(files, words))
        public: dict[str, PublicFile] = {}
        if self._bundle is not None:
            if self._bundle.verified.plan_sha256 != sha256_of(plan):
                return Remade(lacking=dict.fromkeys(files, "--bundle is of another plan"))
            public = self._bundle.public_files
        key = sha256_of(measurements), site.study.title
        if key not in self._rows:
            self._rows[key] = _rows(plan, measurements, site.study.title, public, files)
        return self._rows[key]


def _rows(
    plan: Plan,
    measurements: Measurements,
    title: str,
    public: "dict[str, PublicFile]",
    files: list[str],
) -> Remade:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            write_rows(plan, measurements, title, public, common_seed(measurements), folder)
        except SecgenError as error:
            words = f"it cannot be made: {error.diagnostics[0].message}"
            if _NO_PUBLIC_FILE in {one.code for one in error.diagnostics}:
                words = (
                    "the study's public files are needed: give its approved bundle with --bundle"
                )
            return Remade(lacking=dict.fromkeys(files, words))
        made = {one: hash_regular(folder / one) for one in files}
    other = "those of an .h5ad are of a version of anndata and HDF5; compare the CSV"
    return Remade(sha256=made, uncertain={one: other for one in files if one.endswith(".h5ad")})


def _describe(site: Site, plan: Plan, folder: Path) -> dict[str, str]:
    """Write the description, or say why it cannot be written."""
    study, certificate, sources = site.study, site.certificate, site.sources
    if study is None or certificate is None or sources is None:
        needed = f"{STUDY_FILE}, {CERTIFICATE_FILE} or {SOURCES_FILE}"
        return {DESCRIPTION_FILE: f"{needed} is not there, or does not hold"}
    text = results_description(plan, study, certificate, sources)
    (folder / DESCRIPTION_FILE).write_bytes(text.encode())
    return {}


def _other_packages(site: Site, *names: str) -> str:
    """In which of these packages this installation differs from that of the run; empty: in none."""
    stated = {} if site.receipt is None else site.receipt.versions
    others = [
        f"{name} {stated.get(name, 'unknown')} (here {version(name)})"
        for name in names
        if stated.get(name) != version(name)
    ]
    return f"the run had {' and '.join(others)}" if others else ""
