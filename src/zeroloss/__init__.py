"""zeroloss: every figure, table and claim of the theory of why gradient descent reaches zero training loss.

The package computes and draws; the Snakemake workflow at the top of the repository schedules and caches.
``python -m zeroloss --help`` works without the workflow.
"""

__version__ = "0.1.0"
