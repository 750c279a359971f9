"""What several tests use and no test is."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
