"""Directed acyclic graphs of small networks, layer by layer, drawn with networkx."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1)), (0, (2, 2)))


@dataclass(frozen=True)
class Wire:
    """An edge; edges of equal ``shared`` carry one and the same weight, None stands for a weight of its own."""

    start: str
    end: str
    shared: int | None = None
    skip: bool = False


def network_graph(layers: Sequence[Sequence[str]], wires: Sequence[Wire]) -> nx.DiGraph:
    """The graph, with the attribute ``layer`` on nodes, ``shared`` and ``skip`` on edges.

    Raises ValueError where an edge does not lead forward, or names no node.
    """
    graph = nx.DiGraph()
    for number, names in enumerate(layers):
        graph.add_nodes_from(names, layer=number)
    for wire in wires:
        if wire.start not in graph or wire.end not in graph:
            raise ValueError(f"edge {wire.start} -> {wire.end} names no node of the graph")
        if graph.nodes[wire.start]["layer"] >= graph.nodes[wire.end]["layer"]:
            raise ValueError(f"edge {wire.start} -> {wire.end} does not lead forward")
        graph.add_edge(wire.start, wire.end, shared=wire.shared, skip=wire.skip)
    return graph


def draw_skip_graph(axes: Axes, graph: nx.DiGraph, labels: dict[str, str]) -> None:
    """Layers from left to right; equal colour and dash = shared weight, grey = its own; skip edges bend outwards."""
    column = {name: graph.nodes[name]["layer"] for name in graph}
    rows: dict[int, list[str]] = {}
    for name in graph:
        rows.setdefault(column[name], []).append(name)
    # networkx's own multipartite_layout orders a layer as a set does; here the first node of a layer is on top
    position = {
        name: (float(layer), (len(names) - 1) / 2 - k) for layer, names in rows.items() for k, name in enumerate(names)
    }
    last = max(column.values())
    fill = {0: "#ffffff", last: "#f4d9b0"}
    nx.draw_networkx_nodes(
        graph,
        position,
        ax=axes,
        node_size=560,
        edgecolors="0.25",
        node_color=[fill.get(column[n], "#d5e6f3") for n in graph],
    )
    nx.draw_networkx_labels(graph, position, labels=labels, ax=axes, font_size=10)
    for start, end, data in graph.edges(data=True):
        shared, skip = data["shared"], data["skip"]
        up = position[start][1] >= position[end][1]
        nx.draw_networkx_edges(
            graph,
            position,
            edgelist=[(start, end)],
            ax=axes,
            node_size=560,
            arrowsize=9,
            width=1.5 if shared is not None or skip else 0.8,
            edge_color="#8B1A1A" if skip else "0.55" if shared is None else PALETTE[shared % len(PALETTE)],
            style="-" if shared is None else DASHES[shared % len(DASHES)],
            connectionstyle=f"arc3,rad={(-0.32 if up else 0.32) if skip else 0.0}",
        )
    axes.set_axis_off()
    axes.margins(0.12)
