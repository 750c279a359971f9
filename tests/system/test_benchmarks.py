import importlib
import inspect
import re

import pytest

from benchmarks.memory import STAGES
from dmdbt import params


@pytest.mark.parametrize("stage", STAGES)
def test_the_benchmarks_call_a_stage_by_the_options_that_it_has(stage):
    signature = inspect.signature(importlib.import_module(f"stages.{stage}").main)
    options = [name for name, p in signature.parameters.items() if p.annotation not in params.SECTIONS.values()]
    assert re.findall(r"--(\w+)", STAGES[stage]) == options
