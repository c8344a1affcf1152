"""Alibaba Cloud RAM 2015-05-01 and STS 2015-04-01 on the wire, in RPC style."""
