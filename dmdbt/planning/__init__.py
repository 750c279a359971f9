"""The cost of the work, before it starts."""

from dmdbt.planning.plan import Line, Plan, check_room, make_plan, plan_text, read_settings

__all__ = ["Line", "Plan", "check_room", "make_plan", "plan_text", "read_settings"]
