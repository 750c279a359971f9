"""The work of each stage of the pipeline: a module per stage. The entry points, the plan and benchmarks call these."""
