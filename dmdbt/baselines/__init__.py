"""Classifiers of other publications, tested on the same folds as the heads."""
