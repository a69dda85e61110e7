"""Runs and the moments at which they branched off each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RunNode:
    """One run in a tree of runs.

    Attributes:
        name: of the run.
        steps: updates made so far, those before the branch among them.
        parent: name of the run that it began from; None: it began from fresh weights.
        from_step: updates that its first weights had.
        changes: what was changed at the branch, a few words each, such as ``learning_rate 0.1 -> 0.01``.
        state: a word, such as ``finished``.
        score: the headline metric on the test pictures, as a person reads it; empty: unknown.
    """

    name: str
    steps: int
    parent: str | None = None
    from_step: int = 0
    changes: tuple[str, ...] = ()
    state: str = ""
    score: str = ""


def family(nodes: Iterable[RunNode], name: str) -> tuple[RunNode, ...]:
    """The runs that share an ancestor with one run, itself among them: parents before children.

    A run whose parent is not there counts as one that began from fresh weights.

    Example:
        >>> runs = [RunNode("a", 9), RunNode("b", 9, "a", 4), RunNode("c", 9), RunNode("d", 9, "b", 6)]
        >>> [node.name for node in family(runs, "b")]
        ['a', 'b', 'd']
    """
    known = {node.name: node for node in nodes}
    if name not in known:
        return ()
    root = known[name]
    seen = {root.name}
    while root.parent in known and root.parent not in seen:
        root = known[root.parent]
        seen.add(root.name)
    return tuple(_below(root, tuple(known.values()), set()))


def _below(root: RunNode, nodes: Sequence[RunNode], seen: set[str]) -> list[RunNode]:
    """A run and all that branched off it, depth first, later branches first, so that lines do not cross."""
    if root.name in seen:
        return []
    seen.add(root.name)
    children = sorted(
        (node for node in nodes if node.parent == root.name), key=lambda node: (-node.from_step, node.name)
    )
    return [root, *(node for child in children for node in _below(child, nodes, seen))]
