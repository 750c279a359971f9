import importlib
import re
from types import NoneType
from typing import get_args

import pytest

from benchmarks.memory import STAGES
from dmdbt import params
from dmdbt.entry import leaves


@pytest.mark.parametrize("stage", STAGES)
def test_the_benchmarks_call_a_stage_by_the_options_that_it_has(stage):
    kinds = leaves(importlib.import_module(f"stages.{stage}").main)
    options = {name: kind for name, kind in kinds.items() if kind not in params.SECTIONS.values()}
    given = {name.replace("-", "_") for name in re.findall(r"--([\w-]+)", STAGES[stage])}
    assert {name for name, kind in options.items() if NoneType not in get_args(kind)} <= given <= set(options)
