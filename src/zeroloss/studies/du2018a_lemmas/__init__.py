"""Du, Zhai, Poczos, Singh 2018, the lemmas as pictures (arXiv 1810.02054v2): each bound beside what it bounds."""

from zeroloss.studies.contract import Study
from zeroloss.studies.du2018a_lemmas import claims, experiment, figures, tables

SUMMARY = """\
The convergence proof is a chain: H(0) is near its limit (Lemma 3.1), stays near it while no unit has moved far \
(Lemma 3.2), no unit moves far while it stays near (Lemma 3.3), hence the rate (Theorems 3.2, 3.3, 4.1)."""

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
