"""The digits data set that ships with the package: the test part of UCI's handwritten digits.

1,797 images of 8x8 pixels with values 0 to 16, ten classes, written by 13 people.
E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998, doi:10.24432/C50P49, CC BY 4.0; see `digits.LICENSE.txt` beside this file.

The split is the order of the images in the file: the first 1,297 train, the last 500
test. It was drawn once: for each class 0 to 9 in turn the 50 test images are the first 50
of a permutation (`torch.randperm`, one generator with seed 0 for all) of the class's
images; within both parts the images keep the order of the source.
"""

from importlib.resources import files

from safetensors.torch import load
from torch import Tensor

TRAIN_SAMPLES = 1297
WHITE = 16
"""The greatest value of a pixel."""


def read() -> tuple[Tensor, Tensor]:
    """Images (1797, 1, 8, 8) uint8 from 0 to `WHITE` and labels (1797,) int64, training first."""
    content = load(files("ktgdsl.training").joinpath("digits.safetensors").read_bytes())
    return content["image"], content["label"].long()
