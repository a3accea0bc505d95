"""Benchmarks, simulations and their plots. Nothing here is deployed or installed."""
