"""Signatures of Alibaba Cloud's OpenAPI, which several dialects speak: V3, ROA and RPC."""
