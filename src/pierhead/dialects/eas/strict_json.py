"""JSON from strangers, as every dialect reads it."""

from pierhead.dialects.strict_json import MAX_DEPTH, UNCLEAN, parse_json

__all__ = ["MAX_DEPTH", "UNCLEAN", "parse_json"]
