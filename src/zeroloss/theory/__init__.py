"""The papers' bounds, rates and constructions, as functions."""
