"""Alibaba Cloud PAI-EAS, version 2021-07-01, on the wire: its catalog, signatures, shapes and errors."""
