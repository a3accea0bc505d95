"""Makefile and workflows."""
