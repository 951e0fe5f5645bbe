"""Liang, Sun, Lee, Srikant 2018: adding one neuron can eliminate all bad local minima (arXiv 1805.08671).

Document 004 quotes Theorem 1 and shows the network of Figure (a). Two base networks with a known bad local minimum,
with and without the exponential neuron; critical points; the theorem without its assumptions.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.liang2018 import claims, experiment, figures, settings, tables

SUMMARY = """\
One neuron a exp(w.x + b) from the inputs straight to the output, with lambda a^2 / 2 added to the loss, leaves no bad local \
minimum. From dL/da = S + lambda a and dL/db = a S it is silent, a = 0, at every critical point, which a search from random \
starts confirms: every critical point found is a global minimum or can be left.

What descent makes of it is another question. Near a bad minimum of the base network the neuron lowers the loss at once. With \
a quadratic unit the base network can take over from it; with a dead ReLU it cannot, and the run goes to infinity: loss -> 0, \
a -> 0 like t^(-1/2), while the base network alone stays as wrong as before. Without lambda, with a loss that is minimal at \
z = 0, or with one input of two labels, constructed local minima break the theorem."""

STUDY = Study(
    name="liang2018",
    paper="Liang, Sun, Lee, Srikant (2018), Adding One Neuron Can Eliminate All Bad Local Minima",
    arxiv="1805.08671",
    summary=SUMMARY,
    settings=settings.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    tests={"004-TH2": "tests/test_liang2018.py::test_neuron_identities_hold_everywhere"},
)
