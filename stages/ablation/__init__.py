"""Entry points of what is tried beside the pipeline."""
