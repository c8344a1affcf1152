"""Where replicas run. `base` is the protocol; `process` runs them on this host."""
