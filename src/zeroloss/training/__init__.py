"""Gradient descent engines."""
