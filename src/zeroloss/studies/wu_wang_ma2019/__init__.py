"""Wu, Wang, Ma 2019: deep linear networks from the zero-asymmetric start (arXiv 1911.00645v1).

The figures of the paper were not available to us: these are our instantiations of what it states.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.wu_wang_ma2019 import claims, experiment, figures, tables
from zeroloss.studies.wu_wang_ma2019.settings import Settings

SUMMARY = """\
Started with all layers the identity and the last one zero (ZAS), gradient descent on a deep linear network falls at once to \
every target: no run rests on a plateau, and +I and -I give the same losses bit by bit. Other starts rest where singular \
directions are missing, at R = k/2 for k of them when the target is orthogonal, and learn them one at a time. From orthogonal \
layers the sign of the determinant decides for good; from Xavier the time grows exponentially with depth at d = 5, while at d = \
1, a product of scalars, the spread over starts is too wide to tell it from a power at these depths.

Near identity to -I in odd dimension is the textbook obstruction, and it is one of deep networks: with four layers most runs get \
through, because noise of variance 1/(dL) is not small there and the sign of a determinant is kept only from balanced starts.

Theorem 4.3's bound holds at every step, at a step size four to seven orders of magnitude below what works. From ZAS a step of \
size 1 even reaches any target exactly: only the last layer moves, and it moves to the target. In nonlinear residual networks \
the same idea (our reading of it) trains at step sizes at which near-identity and standard starts diverge."""

STUDY = Study(
    name="wu_wang_ma2019",
    paper="Wu, Wang, Ma (2019), Global convergence of gradient descent for deep linear residual networks",
    arxiv="1911.00645",
    summary=SUMMARY,
    settings=Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    tests={"004-E2": "tests/test_deep_linear_descent.py::test_steps_are_those_of_automatic_differentiation"},
)
