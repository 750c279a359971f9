"""Find the contents of an output folder in DVC's local cache. The only module that knows the layout of that cache."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path


def cached_folders(folder: Path, landmark: str) -> Iterator[Mapping[str, Path]]:
    """Find the folders in DVC's local cache that hold a file `landmark`, newest first.

    Parameters
    ----------
    folder
        Any folder of the project; outside a DVC project nothing is found.
    landmark
        Path relative to the cached folder.

    Yields
    ------
    dict
        Of each file of the cached folder, its relative path and where its content lies. The content may be missing
        or damaged.
    """
    objects = _objects(folder)
    if objects is None:
        return
    for listing in sorted(objects.glob("??/*.dir"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            entries = json.loads(listing.read_text(encoding="utf-8"))
            paths = {str(entry["relpath"]): objects / entry["md5"][:2] / entry["md5"][2:] for entry in entries}
        except (OSError, ValueError, KeyError, TypeError):  # of a damaged listing nothing can be restored
            continue
        if landmark in paths:
            yield paths


def _objects(folder: Path) -> Path | None:
    """Where DVC keeps contents by their MD5."""
    from dvc.exceptions import NotDvcRepoError  # here, because a run that keeps everything needs no DVC
    from dvc.repo import Repo

    try:
        with Repo(str(folder)) as repo:
            return Path(repo.cache.local.path)
    except NotDvcRepoError:
        return None
