"""The data set `folder("path")`: the user's image files, a folder for each class."""

import torch

from ktgdsl.errors import warn
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import UnreadableError, data_error, warn_of_transparency
from ktgdsl.training.datasets.image_files import ImageFiles
from ktgdsl.training.datasets.image_headers import read_headers
from ktgdsl.training.datasets.image_paths import SplitFolder, image_paths
from ktgdsl.training.datasets.image_set import DataSet, ImageSet


def image_folder(data: DataPlan) -> DataSet:
    """The images of `train/CLASS/` and `test/CLASS/`; classes are numbered by their names."""
    found = image_paths(data)
    if found.classes == ("images", "masks"):
        warn(
            "W301",
            f"the classes of the data {data.source} are `images` and `masks`, by its folders",
            help="masks are read as labels of pixels by `folder(..., labels=masks)`",
        )
    try:
        headers = read_headers(found.all, any_size=data.resize is not None)
    except UnreadableError as error:
        raise data_error(str(error)) from error
    if headers.transparent:
        count = f"{len(headers.transparent):,} of {len(found.all):,} images have transparent parts"
        warn_of_transparency(count, str(headers.transparent[0]))
    size = headers.size if data.resize is None else None

    def part(split: SplitFolder) -> ImageSet:
        paths, labels = found.files[split]
        return ImageSet(ImageFiles(paths, headers.channels, size), torch.tensor(labels))

    return DataSet(part("train"), part("test"), found.classes)
