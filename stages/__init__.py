"""One thin entry point per stage of dvc.yaml: read, call, write."""
