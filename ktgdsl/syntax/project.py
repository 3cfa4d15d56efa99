"""The project that a spec is part of, which the files that it names must lie in."""

from pathlib import Path


def project_root(folder: Path) -> Path:
    """The folder that paths of a spec stay inside: the project's, else the spec's own.

    A project is the nearest folder above with `.git` or `pyproject.toml` in it.
    """
    own = folder.resolve()
    marks = (".git", "pyproject.toml")
    return next((p for p in (own, *own.parents) if any((p / m).exists() for m in marks)), own)
