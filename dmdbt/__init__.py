"""Breast cancer classification from pairs of a mammogram (DM) and a tomosynthesis volume (DBT)."""

__version__ = "0.1.0"
