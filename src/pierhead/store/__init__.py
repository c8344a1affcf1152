"""Durable state. `db` runs functions as transactions; one module per noun holds the functions."""
