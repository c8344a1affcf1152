"""The use cases, one module per noun: each writes wanted state, then wakes the reconciler."""
