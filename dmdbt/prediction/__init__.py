"""A trained pipeline applied to new pairs."""

# What its worker processes need, for `dmdbt.running.begin_workers`.
PRELOAD = ("dmdbt.prediction.predictor", "dmdbt.prediction.shown", "dmdbt.viewer.page", "dmdbt.viewer.sheet")
