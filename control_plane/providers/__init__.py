"""Servers elsewhere that answer for a model."""
