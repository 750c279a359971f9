"""Base of all readers as context managers."""

from typing import Self


class Opened:
    """A context manager that closes what it opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files that are open; of a reader that keeps none open between two slices there are none."""
