"""Images beside masks below a folder, `folder(..., labels=masks)`: their files, without torch."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import UnreadableError, data_error
from ktgdsl.training.datasets.image_headers import open_image, upright_size
from ktgdsl.training.datasets.image_paths import SplitFolder, files_in, image_folder_of

LAYOUT = (
    "the mask of train/images/x.jpg is train/masks/x.png, and that of test/images/x.jpg "
    "test/masks/x.png; or the folder is one of PASCAL VOC, with JPEGImages, SegmentationClass and "
    "the names in ImageSets/Segmentation/train.txt and val.txt"
)

CLASSES = frozenset({"1", "L", "P"})
"""Modes of Pillow images whose pixels are 8-bit numbers, of a palette or grey."""

Pair = tuple[Path, Path]
"""An image and its mask."""

_VOC: Mapping[SplitFolder, str] = {"train": "train.txt", "test": "val.txt"}


def has_masks(data: DataPlan) -> bool:
    """Whether the data are a folder of images beside masks."""
    return data.source.name == "folder" and data.source.arguments.get("labels") == "masks"


def mask_paths(data: DataPlan) -> dict[SplitFolder, list[Pair]]:
    """The images of each split with their masks, sorted by path.

    Raises RunError (E508) where there are none, an image has no mask, or a mask no image.
    """
    path = image_folder_of(data)
    if not path.is_dir():
        raise data_error(f"there is no folder of images {path}", LAYOUT, path)
    lists = path / "ImageSets" / "Segmentation"
    try:
        if lists.is_dir():
            return {split: [*_listed(path, lists / name)] for split, name in _VOC.items()}
        return {split: _beside(path / split) for split in _VOC}
    except UnreadableError as error:
        raise data_error(str(error), LAYOUT, path) from error


def _beside(split: Path) -> list[Pair]:
    images, masks = split / "images", split / "masks"
    for folder in (images, masks):
        if not folder.is_dir():
            raise UnreadableError(f"there is no folder {folder}")
    pairs = [
        (each, masks / each.relative_to(images).with_suffix(".png")) for each in files_in(images)
    ]
    if not pairs:
        raise UnreadableError(f"there is no image in {images}")
    _require(pairs)
    if unused := set(files_in(masks)) - {mask for _, mask in pairs}:
        raise UnreadableError(f"the mask {min(unused)} has no image in {images}")
    return pairs


def _listed(path: Path, names: Path) -> Iterator[Pair]:
    """The pairs that a list of PASCAL VOC names, one a line."""
    try:
        found = names.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"the list {names} cannot be read ({error})") from error
    pairs = [
        (path / "JPEGImages" / f"{name}.jpg", path / "SegmentationClass" / f"{name}.png")
        for name in sorted(found)
    ]
    if not pairs:
        raise UnreadableError(f"the list {names} names no image")
    for image, _ in pairs:
        if not image.is_file():
            raise UnreadableError(f"there is no image {image}, which {names} names")
    _require(pairs)
    return iter(pairs)


def _require(pairs: list[Pair]) -> None:
    for image, mask in pairs:
        if not mask.is_file():
            raise UnreadableError(f"the image {image} has no mask {mask}")


def check_masks(pairs: list[Pair]) -> None:
    """Raise UnreadableError for a mask of another size than its image, or without classes."""
    for image, mask in pairs:
        with open_image(image) as opened:
            size = upright_size(opened)
        with open_image(mask) as opened:
            mode, own = opened.mode, (opened.height, opened.width)
        if mode not in CLASSES:
            raise UnreadableError(
                f"the mask {mask} is a PNG file of mode {mode}, and classes are the 8-bit numbers "
                "of a palette (`P`) or of grey pixels (`L`)"
            )
        if own != size:
            raise UnreadableError(
                f"the mask {mask} has {own[0]}x{own[1]} pixels, and its image {size[0]}x{size[1]}"
            )
