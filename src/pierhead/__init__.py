"""Pierhead: self-hosted model serving behind two clouds' control-plane APIs."""

__version__ = "0.1.0"
