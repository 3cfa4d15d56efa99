"""Tiny-ImageNet in its published layout: JPEG files, and a table of the test labels."""

from pathlib import Path

import torch

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import UnreadableError, data_error
from ktgdsl.training.datasets.image_files import ImageFiles
from ktgdsl.training.datasets.image_paths import files_in
from ktgdsl.training.datasets.image_set import DataSet, ImageSet
from ktgdsl.training.datasets.locations import damaged_file, data_root, missing_files

FOLDER = "tiny-imagenet-200"
HOW = f"download http://cs231n.stanford.edu/{FOLDER}.zip and unpack it"


def tiny_imagenet(data: DataPlan) -> DataSet:
    """`train/CLASS/images/` to train on, `val/images/` by `val/val_annotations.txt` to test on.

    They lie in the root or in `tiny-imagenet-200` below it. The classes are those of
    `wnids.txt`, numbered in alphabetical order.
    """
    root = data_root(data)
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    required = ("wnids.txt", "train", "val/val_annotations.txt", "val/images")
    if missing := [name for name in required if not (folder / name).exists()]:
        raise missing_files(data, [f"{FOLDER}/{name}" for name in missing], HOW)
    classes = sorted(_lines(data, folder / "wnids.txt"))
    numbers = {name: number for number, name in enumerate(classes)}
    train = [(path, number) for name, number in numbers.items() for path in _images(folder, name)]
    if missing := [name for name in classes if not (folder / "train" / name / "images").is_dir()]:
        raise missing_files(data, [f"{FOLDER}/train/{name}/images" for name in missing], HOW)
    test = _test_images(data, folder / "val", numbers)
    assert data.facts is not None  # of a known data set
    channels, *size = data.facts.shape

    def part(files: list[tuple[Path, int]]) -> ImageSet:
        images = ImageFiles([path for path, _ in files], channels, (size[0], size[1]))
        return ImageSet(images, torch.tensor([number for _, number in files], dtype=torch.int64))

    return DataSet(part(train), part(test), tuple(classes))


def _images(folder: Path, name: str) -> list[Path]:
    try:
        return files_in(folder / "train" / name / "images")
    except UnreadableError as error:
        raise data_error(str(error)) from error


def _test_images(data: DataPlan, val: Path, numbers: dict[str, int]) -> list[tuple[Path, int]]:
    """The files of the table, whose lines are: file, class, and a bounding box, not used here."""
    table = val / "val_annotations.txt"
    files = []
    for line in _lines(data, table):
        file, _, rest = line.partition("\t")
        name = rest.partition("\t")[0]
        if name not in numbers:
            raise damaged_file(data, table, f"`{line}` names no class of wnids.txt", HOW)
        files.append((val / "images" / file, numbers[name]))
    if missing := [f"{FOLDER}/val/images/{p.name}" for p, _ in files if not p.is_file()]:
        raise missing_files(data, missing, HOW)
    return files


def _lines(data: DataPlan, path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise damaged_file(data, path, error, HOW) from error
