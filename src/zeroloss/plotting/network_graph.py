"""Schematics of layered networks: nodes by layer, edges between layers, skip edges as arcs. No numbers, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from matplotlib.axes import Axes

INK = "0.25"
EDGE = "0.62"


@dataclass(frozen=True)
class Neuron:
    """One node.

    Attributes:
        name: unique within its graph.
        label: text inside the circle, TeX between dollars allowed.
        layer: column, 0 for inputs.
        height: vertical place; None spreads the layer's nodes evenly about 0.
        colour: fill.
    """

    name: str
    label: str
    layer: float
    height: float | None = None
    colour: str = "white"


@dataclass(frozen=True)
class Connection:
    """One directed edge.

    Attributes:
        source, target: names of neurons.
        label: text at its middle.
        colour, style, width: of the line.
        bend: curvature of the arc, 0 straight; positive bends to the right of the direction.
    """

    source: str
    target: str
    label: str = ""
    colour: str = EDGE
    style: str = "-"
    width: float = 1.0
    bend: float = 0.0


def layer_to_layer(sources: Sequence[Neuron], targets: Sequence[Neuron], **look: str | float) -> list[Connection]:
    """Every source connected to every target; ``look`` as in :class:`Connection`."""
    return [Connection(one.name, other.name, **look) for one in sources for other in targets]  # type: ignore[arg-type]


def layered_graph(neurons: Iterable[Neuron], connections: Iterable[Connection]) -> nx.DiGraph:
    """The directed graph, node attributes ``neuron``, edge attributes ``connection``.

    Raises:
        ValueError: an edge names no node, or the edges close a circle: a feed-forward network has none.
    """
    graph = nx.DiGraph()
    for neuron in neurons:
        graph.add_node(neuron.name, neuron=neuron)
    for connection in connections:
        if connection.source not in graph or connection.target not in graph:
            raise ValueError(f"{connection.source} -> {connection.target}: there is no such neuron")
        graph.add_edge(connection.source, connection.target, connection=connection)
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError("the connections close a circle: a feed-forward network has none")
    return graph


def positions(graph: nx.DiGraph, gap: float = 1.0) -> dict[str, np.ndarray]:
    """Places of all nodes: x the layer, y evenly spaced by ``gap`` about 0 in the order of addition, or as given."""
    places = {}
    neurons = [graph.nodes[name]["neuron"] for name in graph]
    for layer in sorted({neuron.layer for neuron in neurons}):
        free = [neuron for neuron in neurons if neuron.layer == layer and neuron.height is None]
        for index, neuron in enumerate(free):
            places[neuron.name] = np.array([layer, gap * ((len(free) - 1) / 2 - index)])
    places |= {one.name: np.array([one.layer, one.height]) for one in neurons if one.height is not None}
    return {name: places[name] for name in graph}


def draw_network(axes: Axes, graph: nx.DiGraph, *, gap: float = 1.0, node_size: float = 900, font: float = 11) -> None:
    """Draw a graph of :func:`layered_graph`.

    Args:
        axes: emptied of frame and ticks.
        graph: what to draw.
        gap: vertical distance of neighbours in a layer, in units of the distance of layers.
        node_size: area of a node in square points, as in networkx.
        font: size of labels in points.
    """
    places = positions(graph, gap)
    axes.set_aspect("equal")  # arcs are bent on the page, their labels placed in units of the data
    for source, target, data in graph.edges(data=True):
        look: Connection = data["connection"]
        nx.draw_networkx_edges(
            graph, places, edgelist=[(source, target)], ax=axes, edge_color=look.colour, style=look.style,
            width=look.width, connectionstyle=f"arc3,rad={look.bend}", node_size=int(node_size), arrowsize=9,
        )  # fmt: skip
        if look.label:
            # the middle of a quadratic arc lies half its control point's offset from the chord
            ends = places[target] - places[source]
            middle = (places[source] + places[target]) / 2 + 0.5 * look.bend * np.array([ends[1], -ends[0]])
            axes.text(
                middle[0], middle[1], look.label, ha="center", va="center", fontsize=font - 1, color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0}, zorder=4,
            )  # fmt: skip
    neurons = [graph.nodes[name]["neuron"] for name in graph]
    drawn = nx.draw_networkx_nodes(
        graph, places, ax=axes, node_color=[neuron.colour for neuron in neurons], edgecolors=INK, linewidths=1.2,
        node_size=int(node_size),
    )  # fmt: skip
    drawn.set_zorder(3)
    labels = {neuron.name: neuron.label for neuron in neurons}
    nx.draw_networkx_labels(graph, places, labels=labels, ax=axes, font_size=font, font_family="DejaVu Sans")
    axes.set_axis_off()
    axes.margins(0.08)
