"""The clouds' APIs that Pierhead speaks; each dialect translates between its wire and the core."""
