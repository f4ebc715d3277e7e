"""Options that the commands of a run between sites have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import click

Option: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]


def consortium_option(help_text: str = "The consortium.toml that all sites share.") -> Option:
    """``--consortium FILE``, required; the command gets a path."""
    return click.option(
        "--consortium",
        type=click.Path(path_type=Path),
        required=True,
        metavar="FILE",
        help=help_text,
    )


def party_option(*, required: bool) -> Option:
    """``--party NAME``; the command gets ``name``."""
    return click.option(
        "--party", "name", required=required, metavar="NAME", help="This site, as in the spec."
    )


def keys_option(*, required: bool) -> Option:
    """``--keys DIR``; the command gets a path."""
    return click.option(
        "--keys",
        type=click.Path(path_type=Path),
        required=required,
        metavar="DIR",
        help="This machine's keys: the folder that `secgen keygen` made.",
    )


def state_option(*, required: bool) -> Option:
    """``--state DIR``; the command gets a path."""
    return click.option(
        "--state",
        type=click.Path(path_type=Path),
        required=required,
        metavar="DIR",
        help="This site's own folder with its ledger and its noised inputs; the same for every "
        "study.",
    )


def proxy_option() -> Option:
    """``--proxy URL``; the command gets a text without user and password, or None."""
    return click.option(
        "--proxy",
        metavar="URL",
        callback=_without_password,
        help="HTTP proxy on the way to the relay.  Default: that of HTTPS_PROXY in the "
        "environment; a proxy's user and password stand there only, as other users of the machine "
        "see command lines.",
    )


def _without_password(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and "@" in value:  # in no host, and in no port
        raise click.BadParameter(
            "a user and password on a command line can be seen by other users of this machine: "
            "change the password, and give the address in the variable HTTPS_PROXY",
            ctx,
            param,
        )
    return value
