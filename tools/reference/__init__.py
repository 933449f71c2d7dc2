"""Comparing models of this package with those of the reference values."""
