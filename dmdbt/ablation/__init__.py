"""Experiments beside the pipeline. A training imports `subsets` alone: another table must not train anew."""
