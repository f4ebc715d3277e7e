"""The fit over one joint array of all columns: what the fit over cliques is tested against.

It is the method of ``consistency`` where the joint is small: nearest counts by an accelerated
projected gradient, largest entropy by iterative proportional fitting.
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from secgen_dsl.synthesis.consistency import estimate_people, project_to_simplex
from secgen_dsl.synthesis.measured import CategoryCounts, Floats


def table(columns: Sequence[str], counts: object, variance: float = 1.0) -> CategoryCounts:
    return CategoryCounts(tuple(columns), np.asarray(counts, dtype=float).ravel(), variance)


def fit_joint(sizes: Mapping[str, int], tables: Sequence[CategoryCounts]) -> Floats:
    """Probabilities of shape ``sizes``."""
    people = estimate_people(tables)
    shape = tuple(sizes.values())
    targets = [laid_out(sizes, t) for t in tables]
    weights = [1 / t.variance for t in tables]

    def view(joint: Floats, target: Floats) -> Floats:
        summed = tuple(i for i, n in enumerate(target.shape) if n == 1 and shape[i] > 1)
        return joint.sum(axis=summed, keepdims=True)

    step = 1 / sum(w * prod(shape) / t.size for w, t in zip(weights, targets, strict=True))
    current = np.full(shape, people / prod(shape))
    ahead, momentum = current, 1.0
    for _ in range(30_000):
        slope = sum(
            (w * (view(ahead, t) - t) for w, t in zip(weights, targets, strict=True)),
            np.zeros(shape),
        )
        following = project_to_simplex((ahead - step * slope).ravel(), people).reshape(shape)
        if float((slope * (following - current)).sum()) > 0:
            momentum = 1.0
        next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = following + (momentum - 1) / next_momentum * (following - current)
        moved = float(np.abs(following - current).max())
        current, momentum = following, next_momentum
        if moved < 1e-10:
            break
    joint = np.full(shape, people / prod(shape))
    for _ in range(3_000):
        for target in targets:
            own, wanted = view(joint, target), view(current, target)
            joint = joint * np.divide(wanted, own, out=np.zeros_like(own), where=own > 0)
    return joint / joint.sum()


def laid_out(sizes: Mapping[str, int], counts: CategoryCounts) -> Floats:
    """A table along the axes of the joint, of length 1 where it lacks a column."""
    held = [name for name in sizes if name in counts.columns]
    own = counts.counts.reshape([sizes[name] for name in counts.columns])
    ordered = own.transpose([counts.columns.index(name) for name in held])
    return ordered.reshape([n if name in held else 1 for name, n in sizes.items()])


def misfit(sizes: Mapping[str, int], joint: Floats, tables: Sequence[CategoryCounts]) -> float:
    """½χ² of a joint of counts."""
    total = 0.0
    for counts in tables:
        target = laid_out(sizes, counts)
        summed = tuple(i for i, name in enumerate(sizes) if name not in counts.columns)
        off = joint.sum(axis=summed, keepdims=True) - target
        total += float((off**2).sum()) / counts.variance / 2
    return total
