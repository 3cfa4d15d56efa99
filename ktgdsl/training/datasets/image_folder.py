"""The data set `folder("path")`: the user's image files, a folder for each class."""

import torch

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import UnreadableError, data_error
from ktgdsl.training.datasets.image_files import ImageFiles
from ktgdsl.training.datasets.image_headers import common_shape
from ktgdsl.training.datasets.image_paths import SplitFolder, image_paths
from ktgdsl.training.datasets.image_set import DataSet, ImageSet


def image_folder(data: DataPlan) -> DataSet:
    """The images of `train/CLASS/` and `test/CLASS/`; classes are numbered by their names."""
    found = image_paths(data)
    try:
        shape = common_shape(found.all)
    except UnreadableError as error:
        raise data_error(str(error)) from error

    def part(split: SplitFolder) -> ImageSet:
        paths, labels = found.files[split]
        return ImageSet(ImageFiles(paths, shape), torch.tensor(labels))

    return DataSet(part("train"), part("test"), found.classes)
