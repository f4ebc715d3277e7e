"""Measurements to model to samples to files."""
