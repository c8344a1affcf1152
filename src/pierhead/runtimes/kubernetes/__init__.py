"""Replicas as pods of a Kubernetes cluster: Deployments, watched by a list-and-watch loop of our own."""
