"""Measures what Pierhead promises about speed and size: `python -m bench`, or `make bench`.

CPU time is the bar wherever it can be: on a machine that others use too, wall time says little.
"""
