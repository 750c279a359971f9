"""What each stage of the pipeline does: a module per stage. The entry points, the plan and benchmarks call these."""
