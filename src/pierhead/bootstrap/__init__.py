"""Puts the parts together: the only modules that name concrete classes, the wall clock and chance."""
