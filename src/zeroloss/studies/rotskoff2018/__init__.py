"""Rotskoff, Vanden-Eijnden 2018: neural networks as interacting particle systems (arXiv 1805.00915v2), and the 1/n test that
stands for the mean-field papers which document 004 only names (Mei, Montanari, Nguyen; Sirignano, Spiliopoulos)."""

from zeroloss.studies.contract import Study
from zeroloss.studies.rotskoff2018 import claims, compute, experiment, figures, tables

SUMMARY = """\
Rotskoff and Vanden-Eijnden read the units of a two-layer network as particles and its loss as their energy. Measured here: \
the identity of both, exactly; the particle flow of radial units on the sphere (Figure 1), with the printed sign of an exponent, \
which diverges, and with the mended one; sigmoid units under SGD and quench (Figures 2 to 4), whose printed sizes need a GPU and \
are cut at the laptop scale; and a test of this project that particles of independent starts spread about their limit like 1/n."""

STUDY = Study(
    name="rotskoff2018",
    paper="Rotskoff, Vanden-Eijnden (2018), Neural networks as interacting particle systems",
    arxiv="1805.00915",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("rotskoff2018_fig2",),
    tests={"004-E6": "tests/test_rotskoff2018.py::test_direct_loss_is_the_energy_of_the_particles"},
)
