"""Image data sets: published ones, with their facts, and the user's own."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from ktgdsl.vocabulary.datasets import AnyDataset, Dataset
from ktgdsl.vocabulary.python import Python


class Images(Dataset):
    """Base of the data sets that are read from files below `root`.

    `pad` (pixels of black around a random crop) and `flips` (left to right) say what `augment =
    standard` does to the training images; `mean` and `std` of their pixels by channel, where
    white is 1, with what it normalises all.
    """

    pad: ClassVar[int] = 0
    flips: ClassVar[bool] = False
    mean: ClassVar[tuple[float, ...]]
    std: ClassVar[tuple[float, ...]]


class Mnist(Images):
    """Handwritten digits, 28x28 grey pixels: 60,000 to train, 10,000 to test.

    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """

    word: ClassVar[str] = "mnist"
    classes: ClassVar[int] = 10
    shape: ClassVar[tuple[int, int, int]] = (1, 28, 28)
    train_samples: ClassVar[int] = 60_000
    test_samples: ClassVar[int] = 10_000
    mean: ClassVar[tuple[float, ...]] = (0.1307,)
    std: ClassVar[tuple[float, ...]] = (0.3081,)


class FashionMnist(Images):
    """Articles of clothing, 28x28 grey pixels: 60,000 to train, 10,000 to test.

    Source: Xiao et al., Fashion-MNIST, 2017.
    """

    word: ClassVar[str] = "fashion_mnist"
    classes: ClassVar[int] = 10
    shape: ClassVar[tuple[int, int, int]] = (1, 28, 28)
    train_samples: ClassVar[int] = 60_000
    test_samples: ClassVar[int] = 10_000
    mean: ClassVar[tuple[float, ...]] = (0.2860,)
    std: ClassVar[tuple[float, ...]] = (0.3530,)


class Cifar10(Images):
    """Small photographs, 32x32 colour pixels, 10 classes: 50,000 to train, 10,000 to test.

    Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    word: ClassVar[str] = "cifar10"
    classes: ClassVar[int] = 10
    shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    train_samples: ClassVar[int] = 50_000
    test_samples: ClassVar[int] = 10_000
    pad: ClassVar[int] = 4
    flips: ClassVar[bool] = True
    mean: ClassVar[tuple[float, ...]] = (0.4914, 0.4822, 0.4465)
    std: ClassVar[tuple[float, ...]] = (0.2470, 0.2435, 0.2616)


class Cifar100(Cifar10):
    """Small photographs, 32x32 colour pixels, 100 classes: 50,000 to train, 10,000 to test.

    Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    word: ClassVar[str] = "cifar100"
    classes: ClassVar[int] = 100
    mean: ClassVar[tuple[float, ...]] = (0.5071, 0.4865, 0.4409)
    std: ClassVar[tuple[float, ...]] = (0.2673, 0.2564, 0.2762)


class Svhn(Images):
    """House numbers, 32x32 colour pixels, 10 classes: 73,257 to train, 26,032 to test.

    Source: Netzer et al., Reading Digits in Natural Images with Unsupervised Feature
    Learning, NIPS workshop 2011.
    """

    word: ClassVar[str] = "svhn"
    classes: ClassVar[int] = 10
    shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    train_samples: ClassVar[int] = 73_257
    test_samples: ClassVar[int] = 26_032
    pad: ClassVar[int] = 4
    mean: ClassVar[tuple[float, ...]] = (0.4377, 0.4438, 0.4728)
    std: ClassVar[tuple[float, ...]] = (0.1980, 0.2010, 0.1970)


class TinyImagenet(Images):
    """Photographs, 64x64 colour pixels, 200 classes: 100,000 to train, 10,000 to test.

    The published validation split is the test split, as the labels of the other are not public.

    Source: Le and Yang, Tiny ImageNet Visual Recognition Challenge, 2015.
    """

    word: ClassVar[str] = "tiny_imagenet"
    classes: ClassVar[int] = 200
    shape: ClassVar[tuple[int, int, int]] = (3, 64, 64)
    train_samples: ClassVar[int] = 100_000
    test_samples: ClassVar[int] = 10_000
    pad: ClassVar[int] = 4
    flips: ClassVar[bool] = True
    mean: ClassVar[tuple[float, ...]] = (0.4802, 0.4481, 0.3975)
    std: ClassVar[tuple[float, ...]] = (0.2770, 0.2691, 0.2821)


class Folder(AnyDataset):
    """Images of yours in `train/CLASS/` and `test/CLASS/` below a folder: `folder("flowers")`.

    The classes are the names of the folders in alphabetical order, the shape is that of the
    images, which must be equal unless `resize` is given. `augment = standard` only normalises
    them. With `labels=masks` each pixel has a label: the mask of `train/images/x.jpg` is
    `train/masks/x.png`, 8-bit numbers of classes, 255 for none; or the folder is one of PASCAL VOC.
    """

    word: ClassVar[str] = "folder"
    later: ClassVar[frozenset[str]] = frozenset({"labels"})

    path: Annotated[str, Field(description="the folder, relative to the file or absolute")]
    labels: Annotated[Literal["folders", "masks"], Field(description="what labels the images")] = (
        "folders"
    )

    @field_validator("path")
    @classmethod
    def _path(cls, path: str) -> str:
        if not path:
            raise ValueError("must be the path of a folder")
        return path


class PythonDataset(AnyDataset, Python):
    """Data of yours: `python("pkg.module:fn", ...)`.

    fn(split, **arguments) = (images, labels) for the splits "train" and "test": images (samples,
    channels, height, width), uint8 or floating-point, and whole labels (samples,), -1 where
    unlabeled. Or = a map-style Dataset of (image, label, ...) or of dicts, the image a Pillow one,
    an array (height, width, channels) or a tensor (channels, height, width). What does not fit
    into memory, or is drawn at random, is read while it is needed. Where nodes have `heads`, labels
    are dicts by the names of the heads.
    """
