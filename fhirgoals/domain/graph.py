"""Circles in a graph of ids, found without recursion: a hostile plan may chain thousands of goals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def cycles(graph: Mapping[str, tuple[str, ...]]) -> list[frozenset[str]]:
    """Return the sets of nodes that lead back to each other (Tarjan's components); a loop on one node counts.

    Every end of an edge must be a node of `graph`. Linear in nodes and edges.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    pending: list[str] = []
    is_pending: set[str] = set()
    work: list[tuple[str, Iterator[str]]] = []
    found: list[frozenset[str]] = []

    def enter(node: str) -> None:
        index[node] = low[node] = len(index)
        pending.append(node)
        is_pending.add(node)
        work.append((node, iter(graph[node])))

    for root in graph:
        if root not in index:
            enter(root)
        while work:
            node, ends = work[-1]
            end = next(ends, None)
            if end is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = _cut(pending, node)
                    is_pending -= component
                    if len(component) > 1 or node in graph[node]:
                        found.append(component)
            elif end not in index:
                enter(end)
            elif end in is_pending:
                low[node] = min(low[node], index[end])
    return found


def _cut(pending: list[str], node: str) -> frozenset[str]:
    """Take the nodes down to and with `node` off the stack."""
    component = [pending.pop()]
    while component[-1] != node:
        component.append(pending.pop())
    return frozenset(component)
