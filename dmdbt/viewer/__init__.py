"""A case as a page and as a picture."""
