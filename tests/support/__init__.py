"""What several tests use and no test is."""

from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
yaml = YAML(typ="safe", pure=True)
