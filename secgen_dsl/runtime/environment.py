"""Variables that steer a library, dropped before it is loaded."""

import os


def forget_variables(*prefixes: str) -> None:
    """Drop every environment variable whose name begins so, for the rest of this process.

    The C library's environment changes too, so that compiled code does not see them either.
    """
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        del os.environ[name]
