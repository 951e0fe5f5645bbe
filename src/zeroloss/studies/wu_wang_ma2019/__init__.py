"""Wu, Wang, Ma 2019: deep linear networks from the zero-asymmetric start (arXiv 1911.00645v1).

The figures of the paper were not available to us: these are our instantiations of what it states.
"""
