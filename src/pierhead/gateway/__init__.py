"""The data plane: one port for all services, served from a route table in memory."""
