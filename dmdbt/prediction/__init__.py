"""A trained pipeline applied to new pairs."""
