"""Yu, Chen 1995: on the local minima free condition of backpropagation learning (IEEE Trans. Neural Networks).

A sigmoid network with as many hidden units as patterns, in the form that document 001 quotes; and the document's remark
on saddles without negative curvature.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.yu_chen1995 import claims, experiment, figures, tables

SUMMARY = """\
Document 001 quotes: with as many sigmoid units as samples, every local minimum of the squared loss is global. From random \
starts, networks of that width do reach zero. As a statement about all local minima it is false: a local minimum of a \
narrow network with one of its units copied is a local minimum of the wide one, with the same positive loss, and we \
construct such points, check gradient and Hessian, and watch gradient descent from nearby return to them. This agrees with \
published counter-examples (Sprinkhuizen-Kuyper and Boers 1999; Ding, Li and Sun 2019, arXiv 1911.01413).

The same document notes that linear networks of depth 3 and more have saddles without negative curvature. At zero the \
Hessian vanishes exactly there, and gradient descent needs a time of order (scale of the start)^-(depth - 2) to leave, \
against a logarithm at depth 2. Results for strict saddles (the document's log^4 d) say nothing of such points."""

STUDY = Study(
    name="yu_chen1995",
    paper="Yu, Chen (1995), On the local minima free condition of backpropagation learning",
    arxiv="",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    tests={"001-Q1": "tests/test_yu_chen1995.py::test_hessian_at_zero_is_exactly_zero_from_depth_3"},
)
