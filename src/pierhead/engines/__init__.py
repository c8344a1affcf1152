"""How each engine is driven: pure adapters from (template, files, placement) to a Launch."""
