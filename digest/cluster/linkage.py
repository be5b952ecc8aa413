"""Likeness of pairs → groups, by average linkage.

Two groups become one when their articles are, on average over the pairs, alike enough. That can only happen where some
pair is alike enough, so articles are first cut into blocks between which no pair is; each block is then linked by
itself. A block that is too large for a square of its pairs is cut again at a higher likeness.
"""

from typing import Final

from digest.cluster.similarity import ENOUGH, Likeness

_LARGEST_BLOCK: Final = 2000  # articles; its square of distances takes 32 MB
_STRICTER: Final = 1.3


def link(likeness: Likeness, *, enough: float = ENOUGH, largest_block: int = _LARGEST_BLOCK) -> list[int]:
    """A group number for each article."""
    import numpy as np

    labels = np.arange(likeness.size)
    for block in _cut(likeness, enough, largest_block):
        for member, first in zip(block, _link_block(likeness, block, enough), strict=True):
            labels[member] = block[first]
    groups: list[int] = labels.tolist()
    return groups


def _cut(likeness: Likeness, enough: float, largest: int) -> list[list[int]]:
    """The blocks of two articles and more."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pieces = list(likeness.pairs(enough))
    if not pieces:
        return []
    rows, columns, alike = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    blocks: list[list[int]] = []
    waiting = [(np.arange(likeness.size), enough)]
    while waiting:
        members, limit = waiting.pop()
        inside = np.zeros(likeness.size, dtype=bool)
        inside[members] = True
        kept = inside[rows] & inside[columns] & (alike >= limit)
        shape = (likeness.size, likeness.size)
        _, found = connected_components(coo_matrix((alike[kept], (rows[kept], columns[kept])), shape), directed=False)
        order = members[np.argsort(found[members], kind="stable")]
        edges = np.flatnonzero(np.diff(found[order])) + 1
        for block in np.split(order, edges):
            if len(block) > largest:
                waiting.append((block, limit * _STRICTER))
            elif len(block) > 1:
                blocks.append(sorted(block.tolist()))
    return sorted(blocks)


def _link_block(likeness: Likeness, block: list[int], enough: float) -> list[int]:
    """For each of the block, the place of the first of its group."""
    import numpy as np
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distances = (1.0 - likeness.square(block).astype(np.float64)).clip(0.0)
    np.fill_diagonal(distances, 0.0)
    groups = fcluster(linkage(squareform(distances, checks=False), "average"), 1.0 - enough, "distance").tolist()
    first: dict[int, int] = {}
    return [first.setdefault(group, place) for place, group in enumerate(groups)]
