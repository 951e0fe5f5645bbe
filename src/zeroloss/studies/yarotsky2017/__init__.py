"""Yarotsky 2017: error bounds for approximations with deep ReLU networks (arXiv 1610.01145), Theorem 1 of document 004."""

from zeroloss.studies.contract import Study
from zeroloss.studies.yarotsky2017 import claims, experiment, figures, tables

SUMMARY = """\
The networks of the proof, weight by weight. Composed teeth make x² with an error of exactly 4^(-m-1) from 4m units in m \
layers, where one hidden layer can do no better than 1/(8p²) with p pieces. Products are made of squares, and local Taylor \
polynomials of products: every network built for an error ε keeps to it, its depth grows like ln(1/ε) and its size like \
ε^(-d/n) ln(1/ε), as the theorem says.

The advantage of depth is immediate for x². For a general smooth function it is one of exponents: the networks of the proof \
would have to be far larger than ours before they need fewer units than the best network with one hidden layer."""

STUDY = Study(
    name="yarotsky2017",
    paper="Yarotsky (2017), Error bounds for approximations with deep ReLU networks",
    arxiv="1610.01145",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
)
