"""The hub's own HTTP surface: health, metrics, API documents, and what gateways ask for."""
