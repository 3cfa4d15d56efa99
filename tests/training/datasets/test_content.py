"""The digest of a data set's content: the same for the same data, another for any other."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets import content, memory
from ktgdsl.training.datasets.content import content_digest
from ktgdsl.training.datasets.image_set import DataSet, ImageSet
from ktgdsl.training.datasets.read import read
from ktgdsl.training.datasets.user_images import UserImages
from tests import lookalikes
from tests.training.datasets.plans import data_of, folder_data

LABEL = torch.tensor([0, 1, 2, 0])


def digest(data: DataPlan) -> str:
    return content_digest(read(data)[0])


def of(image: Any, label: Tensor = LABEL, white: int = 255) -> str:
    return content_digest(DataSet(ImageSet(image, label, white), ImageSet(image, label, white)))


def test_any_image_label_shape_or_scale_counts() -> None:
    image = torch.arange(4 * 4, dtype=torch.uint8).view(4, 1, 2, 2)
    other = image.clone()
    other[3, 0, 1, 1] += 1
    label = LABEL.clone()
    label[3] = -1
    same = [of(image), of(image.clone()), of(image.transpose(2, 3).contiguous().transpose(2, 3))]
    others = [of(other), of(image, label), of(image.view(4, 1, 4, 1)), of(image, white=16)]
    assert len(set(same)) == 1
    assert len({same[0], *others, of(image.flip(0))}) == 6


@pytest.mark.filterwarnings("ignore:.* is not the published file")
def test_files_count_by_what_they_hold(tmp_path: Path) -> None:
    lookalikes.idx(tmp_path / "one", packed=False)
    lookalikes.idx(tmp_path / "two", packed=True)

    def at(root: str) -> str:
        return digest(data_of("mnist", tmp_path / root, 20, 10, shape=(1, 28, 28)))

    assert at("one") == at("two")
    file = tmp_path / "two" / "t10k-labels-idx1-ubyte.gz"
    plain = bytearray(gzip.decompress(file.read_bytes()))
    plain[-1] = 0
    file.write_bytes(gzip.compress(plain))
    assert at("one") != at("two")


def test_image_files_count_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lookalikes.folder(tmp_path / "a" / "set")
    lookalikes.folder(tmp_path / "b" / "set")
    before = digest(folder_data(tmp_path / "a"))
    assert digest(folder_data(tmp_path / "b")) == before
    image = max((tmp_path / "b" / "set").rglob("*.png"))
    image.write_bytes(image.read_bytes() + b"\0")
    assert digest(folder_data(tmp_path / "b")) != before
    monkeypatch.setattr(content, "MAX_FILES", 1)  # the others count by their sizes
    assert digest(folder_data(tmp_path / "b")) != digest(folder_data(tmp_path / "a"))


class Images(Dataset[Any]):
    """Images of noise that `change` adds to, one of which is `odd`."""

    def __init__(self, change: Callable[[], float], odd: int = -1) -> None:
        self._change, self._odd = change, odd

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.full((1, 3, 3), float(index)) + self._change()
        return image + (index == self._odd), index % 3


def lazy(change: Callable[[], float], odd: int = -1) -> str:
    return of(UserImages(Images(change, odd), "images"), torch.arange(40) % 3)


def test_the_images_of_a_dataset_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lazy(lambda: 0.0) == lazy(lambda: 0.0)
    assert len({lazy(lambda: 0.0), lazy(lambda: 0.5), lazy(lambda: 0.0, odd=39)}) == 3
    monkeypatch.setattr(content, "MAX_IMAGES", 10)  # as of more than fit into memory
    monkeypatch.setattr(memory, "fits", lambda *_: False)
    assert lazy(lambda: 0.0) != lazy(lambda: 0.0, odd=36)
    assert lazy(lambda: 0.0) == lazy(lambda: 0.0, odd=39)


def test_random_images_count_as_drawn_from_a_seed() -> None:
    def noise() -> float:
        return float(torch.rand(()))

    assert lazy(noise) == lazy(noise)
    assert lazy(noise) != lazy(lambda: noise() * 2)


@pytest.mark.filterwarnings("ignore:.*gives other images each time")
def test_of_images_that_nothing_repeats_the_labels_count() -> None:
    own = torch.Generator().manual_seed(1)

    def unseeded() -> float:
        return float(torch.rand((), generator=own))

    assert lazy(unseeded) == lazy(unseeded)
