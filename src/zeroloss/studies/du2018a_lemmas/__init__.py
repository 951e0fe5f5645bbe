"""Du, Zhai, Poczos, Singh 2018, the lemmas as pictures (arXiv 1810.02054v2): each bound beside what it bounds."""

from zeroloss.studies.contract import Study
from zeroloss.studies.du2018a_lemmas import claims, experiment, figures, tables

SUMMARY = """\
The convergence proof is a chain: H(0) is near its limit (Lemma 3.1), stays near it while no unit has moved far \
(Lemma 3.2), no unit moves far while it stays near (Lemma 3.3), hence the rate (Theorems 3.2, 3.3, 4.1). Each link is drawn \
beside its bound, with every constant of the proofs written out. From a few dozen units on all links hold, at widths 5 to \
18 orders of magnitude below those that the proofs ask for.

One printed constant is wrong, not only its proof: Lemma 3.3 has 1 where its proof gives 2, and with a single input the \
distance exceeds the printed bound whenever H(0) is below its limit. The corrected constant 2 holds in every run.

A network whose units all move away from one input loses lambda_0/2 at a length near 1, whatever the width; moves that flip \
as many patterns as they can hardly touch the least eigenvalue. The rate of Theorem 4.1 is a bound up to the step size at \
which it would break if H never moved. Beyond 2/lambda_max training rises first and often recovers."""

STUDY = Study(
    name="du2018a_lemmas",
    paper="Du, Zhai, Póczos, Singh (2018), Gradient descent provably optimizes over-parameterized neural networks: lemmas",
    arxiv="1810.02054",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    tests={
        "001-TH2": "tests/test_du2018a_lemmas_engines.py::test_greedy_moves_flip_what_they_afford",
        "001-TH5": "tests/test_du2018a_lemmas_engines.py::test_wide_flow_follows_the_linear_ode",
        "001-TH6": "tests/test_du2018a_lemmas_engines.py::test_field_is_the_gradient_of_automatic_differentiation",
        "002-TH1": "tests/test_du2018a_lemmas_engines.py::test_linearised_residual_solves_the_linear_ode",
    },
)
