"""Gram matrices and tangent kernels: exact limits and empirical ones."""
