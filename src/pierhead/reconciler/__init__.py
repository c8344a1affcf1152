"""Makes what is wanted true: a queue of service ids, one pass per id, routes as its product."""
