"""The pure core: what Pierhead knows and decides. No I/O, no clock, no chance, no framework."""
