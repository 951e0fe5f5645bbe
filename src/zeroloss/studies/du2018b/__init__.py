"""Du, Lee, Li, Wang, Zhai 2018: gradient descent finds global minima of deep neural networks (arXiv 1811.03804v4).

The paper has no experiment; document 002 is its slide deck. Here its statements are measured: the limiting Gram
matrices by quadrature, and all layers of fully connected nets, ResNets and convolutional ResNets trained.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.du2018b import claims, compute, experiment, figures, tables

SUMMARY = """\
The paper proves a linear rate for deep fully connected nets, ResNets and convolutional ResNets and has no experiment. \
What its proof rests on is measured here: the least eigenvalue of K^(H), which falls exponentially in the depth for \
fully connected nets and like 1/H^2 for ResNets; the Gram matrices of all layers, at the start and after training; the \
loss with true and with random labels; the largest step size that trains; how far each layer moves.

The last line of the printed recursion has the wrong covariance: finite networks follow that of the paper's appendix. \
The proof uses the Gram matrix of the last layer alone. The sum over all layers governs training, and for ResNets its \
least eigenvalue hardly depends on the depth: the 1/H^2 belongs to the proof, while the exponential fall of the fully \
connected net is in the sum as well, and is seen in training."""

STUDY = Study(
    name="du2018b",
    paper="Du, Lee, Li, Wang, Zhai (2018), Gradient descent finds global minima of deep neural networks",
    arxiv="1811.03804",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    tests={
        "001-E3": "tests/test_deep.py::test_c_sigma_keeps_the_norm",
        "002-E1": "tests/test_deep.py::test_slides_and_paper_describe_the_same_descent",
        "002-E2": "tests/test_deep.py::test_descent_is_that_of_a_plain_script",
        "002-E3": "tests/test_deep_gram.py::test_factored_gram_is_that_of_automatic_differentiation",
    },
)
