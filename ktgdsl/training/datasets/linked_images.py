"""Warns of links that make an image a sample twice: in two classes, or in both splits."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ktgdsl.errors import warn

Labelled = tuple[Sequence[Path], Sequence[int]]


def warn_of_linked_images(root: Path, splits: Iterable[tuple[str, Labelled]]) -> None:
    """Warn (W307) of files that have two classes, and of those to train on and to test on.

    Args:
        root: the folder of the images.
        splits: the paths of each split, and the number of the class of each.
    """
    first: dict[str, tuple[str, int, Path]] = {}
    relabelled: list[tuple[Path, Path]] = []
    in_both: list[tuple[Path, Path]] = []
    links = _Links(root)
    for split, (paths, labels) in splits:
        for path, label in zip(paths, labels, strict=True):
            known_split, known_label, known = first.setdefault(
                links.real(path), (split, label, path)
            )
            if known_label != label:
                relabelled.append((known, path))
            elif known_split != split:
                in_both.append((known, path))
    _warn(relabelled, "of two classes", links)
    _warn(in_both, "to train on and to test on", links)


class _Links:
    """Resolves links in paths; folders are cached."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, str] = {}

    def real(self, path: Path) -> str:
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        if path.is_symlink():
            return os.path.realpath(path)
        return os.path.join(self._folders[folder], name)  # noqa: PTH118 (a string is faster)

    def of(self, path: Path) -> list[Path]:
        """The links on the way from the root to a file."""
        below = path.relative_to(self._root)
        return [each for each in (path, *path.parents)[: len(below.parts)] if each.is_symlink()]


def _warn(pairs: Sequence[tuple[Path, Path]], what: str, links: _Links) -> None:
    if not pairs:
        return
    one, other = pairs[0]
    link = (links.of(other) or links.of(one))[-1]
    count = "1 image is" if len(pairs) == 1 else f"{len(pairs):,} images are"
    warn(
        "W307",
        f"{count} {what}, such as {other}, which is {one} by the link {link}",
        help="remove the link, unless it is meant",
        path=link,
    )
