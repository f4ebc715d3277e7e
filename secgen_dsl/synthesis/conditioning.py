"""Samples of chosen labels: the fitted model with other proportions of a column's values.

With ``w`` a weight for each value of a column, the model p(x) becomes p(x)·w(x_column), normalised:
whatever else a row holds keeps its distribution given the column.  A weight of 0 leaves a value
out; ``wanted/p`` gives a column the proportions that are wanted.  Both are post-processing.  The
column that was weighted last is drawn first: its counts are the wanted ones, rounded.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, nearest
from secgen_dsl.ir.program import CategoryColumn
from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.model import Component, TableModel
from secgen_dsl.synthesis.sample import Samples

_LISTED = 5


def with_proportions(model: TableModel, column: str, parts: Mapping[str, float]) -> TableModel:
    """The model in which the values of a column have given proportions.

    Args:
        model: from ``fit_model``.
        column: one that was measured.
        parts: value → its part, ≥ 0, relative to the others; values that are not named get none.

    Raises:
        SecgenError: SG613, the column or a value is not in the model, no part is above 0, or the
            opened values leave nobody with a value that is wanted.
    """
    values = _values(model, column)
    wanted = np.zeros(len(values))
    for value, part in parts.items():
        wanted[_position(values, value, f'"{column}"')] = part
    own = _own_distribution(model, column)
    nobody = [value for value, p, w in zip(values, own, wanted, strict=True) if w > 0 and p <= 0]
    if nobody:
        raise _cannot(
            f'by the opened values nobody has {column} "{nobody[0]}": of such people nothing is '
            "known that rows could be drawn from",
            "leave the value out",
        )
    if not wanted.sum() > 0:
        raise _cannot(f'no value of "{column}" has a part above 0', "give one value a part")
    weights = np.divide(wanted / wanted.sum(), own, out=np.zeros_like(own), where=own > 0)
    return _weighted(model, column, weights)


def only_where(model: TableModel, column: str, value: str) -> TableModel:
    """The model given that a column has a value; raises as ``with_proportions``."""
    return with_proportions(model, column, {value: 1.0})


def balanced(model: TableModel, column: str) -> TableModel:
    """The model in which all values of a column that anybody has are equally frequent.

    Raises:
        SecgenError: SG613, the column is not in the model.
    """
    values = _values(model, column)
    own = _own_distribution(model, column)
    held = {value: 1.0 for value, p in zip(values, own, strict=True) if p > 0}
    return with_proportions(model, column, held)


def label_counts(samples: Samples, column: str) -> dict[str, int]:
    """Value → how many rows have it, in the spec's order."""
    place = [one.name for one in samples.columns].index(column)
    values = samples.columns[place].values
    counts = np.bincount(samples.codes[:, place], minlength=len(values))
    return dict(zip(values, counts.tolist(), strict=True))


def warn_of_lost_values(
    model: TableModel, samples: Samples, narrowed: Collection[str] = ()
) -> tuple[Diagnostic, ...]:
    """SG615: values of categories that no row has, and why.

    Args:
        model: as fitted, before any wish.
        samples: drawn from it, or from what was made of it.
        narrowed: columns of which values were left out on purpose.  If there are any, others may
            have lost values with them: only what the opened values give to nobody is told then.
    """
    drowned: list[str] = []
    rare: list[str] = []
    for column in model.columns:
        if not isinstance(column, CategoryColumn) or column.name in narrowed:
            continue
        counts = label_counts(samples, column.name)
        own = _own_distribution(model, column.name)
        for value, share in zip(column.values, own.tolist(), strict=True):
            if counts[value] == 0 and value != column.otherwise:
                (rare if share > 0 else drowned).append(f'{column.name} "{value}"')
    found = []
    if drowned:
        found.append(
            Diagnostic(
                "SG615",
                f"no synthetic row has {_first_few(drowned)}: by the opened values nobody has "
                f"{_it(drowned)}. All counts carry noise, and that of a rare value may come "
                "out at 0 or below",
                "warning",
                place="synthetic rows",
                next_step="whoever uses the rows will not know that there may be such people, and "
                "more rows do not help: a study to come needs a greater epsilon, or the value "
                "merged with another (`secgen plan` says which values noise drowns)",
            )
        )
    if rare and not narrowed:
        found.append(
            Diagnostic(
                "SG615",
                f"no synthetic row has {_first_few(rare)}: by the opened values too few people "
                f"have {_it(rare)} for one of {len(samples.codes):,} rows",
                "warning",
                place="synthetic rows",
                next_step="draw more rows with `secgen synthesize`, or as many of each value with "
                "--balance COLUMN",
            )
        )
    return tuple(found)


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _first_few(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + rest


def _values(model: TableModel, column: str) -> Sequence[str]:
    names = [one.name for one in model.columns]
    return model.columns[_position(names, column, "the measured columns")].values


def _position(known: Sequence[str], name: str, of_what: str) -> int:
    if name in known:
        return known.index(name)
    hint = nearest(name, known) or "known are " + ", ".join(known[:12])
    raise _cannot(f'"{name}" is not among {of_what}', hint)


def _own_distribution(model: TableModel, column: str) -> Floats:
    component = _component(model, column)
    return component.tree.marginal(component.tables, [column])


def _component(model: TableModel, column: str) -> Component:
    return next(one for one in model.components if column in one.tree.sizes)


def _weighted(model: TableModel, column: str, weights: Floats) -> TableModel:
    chosen = _component(model, column)
    tree, tables = chosen.tree, list(chosen.tables)
    start = tree.clique_of([column])
    axis = tree.cliques[start].index(column)
    along = [1] * tables[start].ndim
    along[axis] = -1
    tables[start] = tables[start] * weights.reshape(along)
    child = start
    while child:  # what the clique says reaches the root …
        separator = tree.separators[child - 1]
        before, after = (separator.of_child(each[child]) for each in (chosen.tables, tables))
        ratio = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
        tables[separator.parent] = tables[separator.parent] * ratio.reshape(separator.along_parent)
        child = separator.parent
    tables[0] = tables[0] / tables[0].sum()
    tables = tree.calibrated(tables)  # … and from there all others
    tree, order = tree.rooted_at(start)
    changed = replace(chosen, tree=tree, tables=tuple(tables[k] for k in order), first=column)
    components = tuple(changed if one is chosen else one for one in model.components)
    return replace(model, components=components)


def _cannot(message: str, next_step: str) -> SecgenError:
    return fail("SG613", message, place="synthetic rows", next_step=next_step)
