"""Entry points of what the pipeline starts from."""
