"""The architectures, named as in the literature."""
