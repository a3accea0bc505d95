"""Reconciliation, audit and runs."""
