"""The base classes of data sets, whose facts a plan needs, and `digits`."""

from typing import ClassVar

from ktgdsl.vocabulary.entry import Entry


class AnyDataset(Entry):
    """Base of all data sets. `shape` is (channels, height, width) in pixels.

    Facts are None where they are not known before the data are loaded.
    """

    kind: ClassVar[str] = "dataset"
    classes: ClassVar[int | None] = None
    shape: ClassVar[tuple[int, int, int] | None] = None
    train_samples: ClassVar[int | None] = None
    test_samples: ClassVar[int | None] = None


class Dataset(AnyDataset):
    """Base of the data sets whose facts are known."""

    classes: ClassVar[int]
    shape: ClassVar[tuple[int, int, int]]
    train_samples: ClassVar[int]
    test_samples: ClassVar[int]


class Digits(Dataset):
    """Handwritten digits, 8x8 grey pixels, embedded in the package: 1,297 to train, 500 to test.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998,
    CC BY 4.0.
    """

    word: ClassVar[str] = "digits"
    classes: ClassVar[int] = 10
    shape: ClassVar[tuple[int, int, int]] = (1, 8, 8)
    train_samples: ClassVar[int] = 1297
    test_samples: ClassVar[int] = 500
