"""Core values as ZStack's inventories. Pure: what an answer needs besides the object comes in."""
