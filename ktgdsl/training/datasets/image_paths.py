"""The image files below a folder, and the classes that its folders stand for: without torch."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ktgdsl.files import expand_home
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import UnreadableError, data_error
from ktgdsl.training.datasets.linked_images import warn_of_linked_images

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
"""The suffixes of image files, as for torchvision's ImageFolder."""

SYSTEM_FOLDERS = frozenset(
    {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "__pycache__"}
)
"""Folders that systems add: neither they nor what begins with a dot is the user's."""

LAYOUT = "images lie in train/CLASS/ and test/CLASS/ below the folder"

SplitFolder = Literal["train", "test"]


@dataclass(frozen=True)
class ImagePaths:
    """The images of `folder(...)` by split: their paths, and the number of the class of each.

    `classes` has the names of the classes in the order of their numbers.
    """

    classes: tuple[str, ...]
    files: dict[SplitFolder, tuple[list[Path], list[int]]]

    @property
    def all(self) -> list[Path]:
        """The paths of both splits."""
        return [path for paths, _ in self.files.values() for path in paths]


def image_paths(data: DataPlan) -> ImagePaths:
    """The images of `train/CLASS/` and `test/CLASS/`; classes are numbered by their names.

    Raises RunError (E508) where there are none, or a folder or link leads nowhere.
    """
    path = image_folder_of(data)
    if not os.path.isdir(path):  # noqa: PTH112 (a `Path` raises for names too long)
        raise data_error(f"there is no folder of images {path}", LAYOUT, path)
    try:
        classes = _classes(path / "train")
        unknown = sorted(set(_classes(path / "test")) - set(classes))
        if unknown:
            message = (
                f"the class `{unknown[0]}` of {path / 'test'} has no folder in {path / 'train'}"
            )
            raise data_error(message, "every class of the test images is learned", path)
        files = {split: _labelled(path / split, classes) for split in _SPLITS}
    except UnreadableError as error:
        raise data_error(str(error), path=path) from error
    warn_of_linked_images(path, files.items())
    return ImagePaths(tuple(classes), files)


def image_folder_of(data: DataPlan) -> Path:
    """The folder that `folder(...)` names, relative to the root."""
    return Path(data.root or ".") / expand_home(str(data.source.arguments["path"]))


_SPLITS: tuple[SplitFolder, ...] = ("train", "test")


def files_in(folder: Path) -> list[Path]:
    """The image files anywhere below a folder, sorted by path; those of a linked folder once.

    Raises UnreadableError for a folder that cannot be read, or a link that leads nowhere.
    """
    found: list[Path] = []
    visited: set[str] = set()
    for path, folders, names in os.walk(folder, followlinks=True, onerror=_unreadable):
        real = os.path.realpath(path)
        folders[:] = [] if real in visited else sorted(filter(_visible, folders))
        if real in visited:
            continue
        visited.add(real)
        for name in filter(_visible, names):
            file = Path(path, name)
            _require_end(file)
            if file.suffix.lower() in SUFFIXES and file.is_file():
                found.append(file)
    return sorted(found)


def _visible(name: str) -> bool:
    return not name.startswith(".") and name not in SYSTEM_FOLDERS


def _unreadable(error: OSError) -> None:
    raise UnreadableError(f"the folder {error.filename} cannot be read ({error.strerror})")


def _require_end(path: Path) -> None:
    """Raise UnreadableError for a link that leads nowhere."""
    if path.is_symlink() and not path.exists():
        raise UnreadableError(f"the link {path} leads to {path.readlink()}, which is not there")


def _classes(split: Path) -> list[str]:
    """The names of the folders that stand for classes, sorted."""
    if not split.is_dir():
        raise data_error(f"there is no folder {split}", LAYOUT, split)
    entries = _entries(split)
    for entry in entries:
        _require_end(entry)
    names = sorted(entry.name for entry in entries if entry.is_dir())
    if not names:
        raise data_error(f"there is no folder of a class in {split}", LAYOUT, split)
    return names


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if _visible(entry.name)]
    except OSError as error:
        _unreadable(error)
        raise


def _labelled(split: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    paths, labels = [], []
    for number, name in enumerate(classes):
        # A class may have no folder among the test images.
        files = files_in(split / name) if (split / name).exists() else []
        if not files and split.name == "train":
            raise data_error(f"there is no image in {split / name}", LAYOUT, split)
        paths += files
        labels += [number] * len(files)
    if not paths:
        raise data_error(f"there is no image in {split}", LAYOUT, split)
    return paths, labels
