"""The data set `folder("path")`: the user's image files, a folder for each class."""

from pathlib import Path

import torch

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_files import ImageFiles, common_shape, files_in
from ktgdsl.training.datasets.image_set import DataSet, ImageSet, UnreadableError

LAYOUT = "images lie in train/CLASS/ and test/CLASS/ below the folder"


def image_folder(data: DataPlan) -> DataSet:
    """The images of `train/CLASS/` and `test/CLASS/`; classes are numbered by their names."""
    path = Path(data.root or ".") / str(data.source.arguments["path"])
    if not path.is_dir():
        raise data_error(f"there is no folder of images {path}", LAYOUT, path)
    classes = _classes(path / "train")
    unknown = sorted(set(_classes(path / "test")) - set(classes))
    if unknown:
        message = f"the class `{unknown[0]}` of {path / 'test'} has no folder in {path / 'train'}"
        raise data_error(message, "every class of the test images is learned", path)
    files = {split: _labelled(path / split, classes) for split in ("train", "test")}
    try:
        shape = common_shape([p for paths, _ in files.values() for p in paths])
    except UnreadableError as error:
        raise data_error(str(error)) from error

    def part(split: str) -> ImageSet:
        paths, labels = files[split]
        return ImageSet(ImageFiles(paths, shape), torch.tensor(labels))

    return DataSet(part("train"), part("test"))


def _classes(split: Path) -> list[str]:
    """The names of the folders that stand for classes, sorted."""
    if not split.is_dir():
        raise data_error(f"there is no folder {split}", LAYOUT, split)
    names = sorted(p.name for p in split.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise data_error(f"there is no folder of a class in {split}", LAYOUT, split)
    return names


def _labelled(split: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    paths, labels = [], []
    for number, name in enumerate(classes):
        files = files_in(split / name)
        if not files and split.name == "train":
            raise data_error(f"there is no image in {split / name}", LAYOUT, split)
        paths += files
        labels += [number] * len(files)
    if not paths:
        raise data_error(f"there is no image in {split}", LAYOUT, split)
    return paths, labels
