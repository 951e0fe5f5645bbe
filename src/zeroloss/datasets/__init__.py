"""Inputs and labels: points on the sphere, images, label noise."""
