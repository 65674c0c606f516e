"""Single packages of this environment, without the rest of its site-packages."""

import importlib.util
import pathlib


def only(folder, *names):
    """The folder, with a link to each of these packages; put on the path of an interpreter that has nothing else."""
    for name in names:
        package = pathlib.Path(next(iter(importlib.util.find_spec(name).submodule_search_locations)))
        (folder / name).symlink_to(package)
    return str(folder)
