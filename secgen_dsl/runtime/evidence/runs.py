"""Audits the folders of a run: each by itself, then against each other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime.evidence.audit import audit_ledgers, audit_site
from secgen_dsl.runtime.evidence.contents import audit_results
from secgen_dsl.runtime.evidence.findings import Finding
from secgen_dsl.runtime.evidence.folder import RunFolder
from secgen_dsl.runtime.evidence.site import Auditor, Site
from secgen_dsl.runtime.evidence.sites import audit_between


def audit_runs(folders: Sequence[RunFolder], auditor: Auditor) -> tuple[list[Site], list[Finding]]:
    """All checks of the folders of one run.

    Files of which nobody has thought may break off the audit of a folder.  It fails then; the
    others are audited all the same, and compared without it.

    Returns:
        The sites whose files could be read, and what was found.
    """
    findings: list[Finding] = []
    sites: list[Site] = []
    audited: list[Site] = []
    compared: list[Site] = []
    for folder in folders:
        with _to_its_end(folder.evidence.name, findings):
            sites.append(Site(folder))
    for site in sites:
        with _to_its_end(site.name, findings):
            findings += audit_site(site, auditor)
            audited.append(site)
    findings += audit_ledgers(auditor)
    for results in dict.fromkeys(site.folder.results for site in audited):
        of_results = [one for one in audited if one.folder.results == results]
        with _to_its_end(", ".join(one.name for one in of_results), findings):
            findings += audit_results(results, of_results, auditor)
            compared += of_results
    with _to_its_end(", ".join(one.name for one in compared), findings):
        findings += audit_between(compared)
    return sites, findings


@contextmanager
def _to_its_end(site: str, findings: list[Finding]) -> Iterator[None]:
    """Whatever ends the block becomes a finding of that site's."""
    try:
        yield
    except SecgenError as error:
        words = "; ".join(one.message for one in error.diagnostics)
    except Exception as error:
        words = (
            "its files are such as no run leaves, or this is a fault of secgen "
            f"({type(error).__name__})"
        )
    else:
        return
    findings.append(Finding("execution", "the audit comes to its end", "fails", site, words))
