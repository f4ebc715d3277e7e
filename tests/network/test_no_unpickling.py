"""Nothing that a peer sends can be unpickled: no module can, and MPyC's own network is closed."""

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest

from secgen_dsl.backends.mpyc import sharing
from secgen_dsl.diagnostics.diagnostic import SecgenError

ROOT = Path(__file__).parents[2]
UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}

KEPT = {"__aexit__", "set_protocol", "unset_protocol"}
"""Methods of MPyC that name its connections and stay: without ``start`` there are none."""

SENDS = {"_send_message", "_receive_message", "create_connection", "create_server", "protocol"}


def names_of(tree: ast.AST) -> set[str]:
    """Every name and attribute in a piece of source."""
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    }


def imported_by(path: Path) -> set[str]:
    """First parts of the names of all modules that a file imports, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("where", ["secgen_dsl/runtime", "backends"])
def test_no_module_of_a_party_unpickles(where: str) -> None:
    paths = sorted((ROOT / where).rglob("*.py"))
    assert len(paths) > 10
    for path in paths:
        assert imported_by(path).isdisjoint(UNPICKLERS), path
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path


def runtime() -> ModuleType:
    import mpyc.runtime

    return mpyc.runtime  # type: ignore[no-any-return]


def methods() -> dict[str, ast.AST]:
    """Each method of MPyC's ``Runtime``, as source."""
    tree = ast.parse(inspect.getsource(runtime()))
    (one,) = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Runtime"
    ]
    return {
        node.name: node
        for node in one.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.fixture(scope="module")
def mpc() -> object:
    return sharing.start_mpyc(0, 3, 1)


def test_every_method_of_mpyc_that_sends_is_disabled(mpc: object) -> None:
    """A new one, in a new release of MPyC, is noticed here."""
    disabled = set(sharing._NETWORK_METHODS)
    sending = {name for name, body in methods().items() if names_of(body) & SENDS}
    assert sending <= disabled | KEPT
    assert disabled <= set(methods())
    # What unpickles is among them.
    unpickling = {name for name, body in methods().items() if "pickle" in names_of(body)}
    assert unpickling == {"transfer", "_distribute", "output", "_reshare"}
    assert unpickling <= disabled


def test_connections_of_mpyc_are_made_by_start_alone(mpc: object) -> None:
    makers = {name for name, body in methods().items() if "MessageExchanger" in names_of(body)}
    assert makers == {"start"}
    assert all(party.protocol is None for party in mpc.parties)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sharing._NETWORK_METHODS)
def test_what_is_disabled_refuses(mpc: object, name: str) -> None:
    with pytest.raises(SecgenError, match=f"mpc.{name} is disabled") as caught:
        getattr(mpc, name)()
    assert caught.value.diagnostics[0].code == "SG507"
