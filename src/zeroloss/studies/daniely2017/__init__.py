"""Daniely 2017: depth separation for neural networks (arXiv 1702.08489), the abstract of document 004."""

from zeroloss.studies.contract import Study
from zeroloss.studies.daniely2017 import claims, compute, experiment, figures, tables

SUMMARY = """\
sin(πd³<x, x'>) on two spheres. A depth-3 network that first makes <x, x'> out of squares and then the sine is written down \
weight by weight: its width grows like a power of d and its weights stay below 2(1 + L). Depth-2 networks, with random or with \
trained hidden weights, learn low frequencies, and the frequency at which they stop falls with d while d³ rises.

Why: a depth-2 network can put only its mass divided by the square root of the number of harmonics into each degree. \
Evaluated numerically, this bound asks for 2^(d log d) neurons once d is large, and with weights up to 2^d for more than one \
from d = 6 on. Where anything can be trained, d of 4 or less, it explains a part of the failure, for the small weights that \
training reaches; the rest is that of random features and of descent."""

STUDY = Study(
    name="daniely2017",
    paper="Daniely (2017), Depth Separation for Neural Networks",
    arxiv="1702.08489",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
)
