"""Sensitivities, mechanisms, accountants."""
