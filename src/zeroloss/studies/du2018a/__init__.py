"""Du, Zhai, Poczos, Singh 2018: gradient descent provably optimizes over-parameterized networks (arXiv 1810.02054v2).

Figure 1 at its printed sizes, in two variants, and the same panels on images.

*As published.* The printed set-up does not produce the printed figure. The curves themselves say what does: the update
lacks the m^(-1/2) of eq. 4, so the step size is 0.001 sqrt(m) in eq. 4's units; panel a is the natural logarithm of the
mean squared error; panel c is the squared distance.

*As printed.* Eq. 4 with one fixed step size, and the unsquared distance.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.du2018a import claims, experiment, figures, tables

SUMMARY = """\
Figure 1 of the paper shows wider networks training faster. The set-up printed beside it does not produce that figure; \
the curves themselves say what does. The update that was applied lacks the factor 1/sqrt(m) of eq. 4, which is eq. 4 \
with a step size of 0.001 sqrt(m): sixteen times the width, four times the step. Panel a is the natural logarithm of the \
mean squared error, and panel c the squared distance. With these settings our curves lie on the published ones.

With eq. 4 as printed and one fixed step size, the width hardly changes the rate: most of the fan of curves in panel a is \
the step size, not over-parameterisation. What does shrink with width in both variants is what the theory speaks of: the \
fraction of changed activation patterns and the largest distance from the start.

On 1000 images the largest eigenvalue of the limiting Gram matrix is a hundred to two hundred times that of points on the \
sphere and the least one about a tenth, so the published step sizes would diverge there, the bound is nearly flat, and \
widths at which the sphere is long in the regime of the theory are too small for H(0) to be near its limit."""

STUDY = Study(
    name="du2018a",
    paper="Du, Zhai, Póczos, Singh (2018), Gradient descent provably optimizes over-parameterized neural networks",
    arxiv="1810.02054",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("du2018a_fig1",),
    tests={
        "001-E1": "tests/test_two_layer.py::test_gradient_is_that_of_automatic_differentiation",
        "001-E2": "tests/test_relu_gram.py::test_closed_form_agrees_with_monte_carlo",
        "003-E2": "tests/test_relu_gram.py::test_orthogonal_inputs_give_one_half",
        "003-E3": "tests/test_relu_gram.py::test_gershgorin_bound",
    },
)
