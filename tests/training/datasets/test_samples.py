"""The forms of a sample: its image, its label, and what is refused."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.samples import image_tensor, label_number, parts_of

PIXELS = torch.full((3, 2, 2), 0.25)


class Pair(NamedTuple):
    image: torch.Tensor
    label: int


@pytest.mark.parametrize(
    "sample",
    [
        (PIXELS, 2),
        [PIXELS, 2],
        Pair(PIXELS, 2),
        (PIXELS, 2, 17),
        (17, PIXELS, 2),
        (PIXELS, torch.tensor(2)),
        (PIXELS, torch.tensor([2])),
        (PIXELS, np.array([2], dtype=np.uint8)),
        (PIXELS, np.float64(2)),
        (PIXELS, 2.0),
        {"image": PIXELS, "label": 2},
        {"pixel_values": PIXELS, "labels": torch.tensor(2)},
        {"img": PIXELS, "fine_label": 2, "coarse_label": 1},
        {"x": PIXELS, "y": 2, "name": "a.png"},
    ],
)
def test_a_sample_has_an_image_and_a_label(sample: Any) -> None:
    image, label = parts_of(sample)
    assert torch.equal(image_tensor(image), PIXELS)
    assert label_number(label) == 2


@pytest.mark.parametrize("sample", [PIXELS, (PIXELS,), (PIXELS, None), {"x": PIXELS, "y": -1}])
def test_a_sample_without_a_label_has_minus_one(sample: Any) -> None:
    assert label_number(parts_of(sample)[1]) == -1


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (7, "it is a int, not (image, label) or a dict"),
        ((7, 1), "none of (int, int) is a Pillow image, an array or a tensor of pixels"),
        ({"picture": 1, "label": 2}, "it has `picture`, `label`, and no image, which is called"),
        ({"image": PIXELS, "name": 2}, "and no label, which is called `label`, `labels`"),
    ],
)
def test_another_sample_is_refused(sample: Any, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        parts_of(sample)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "label", [1.7, float("nan"), float("inf"), "3", torch.tensor([0.0, 1.0]), 2**63, [1], 1j]
)
def test_a_label_is_never_rounded(label: Any) -> None:
    with pytest.raises(UnreadableError, match="its label"):
        label_number(label)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.tensor([[0, 7]], dtype=torch.uint8), [[[0, 7]]]),
        (torch.tensor([[[0, 7]]], dtype=torch.uint8), [[[0, 7]]]),
        (np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8), [[[1, 4]], [[2, 5]], [[3, 6]]]),
        (np.zeros((3, 1, 2), dtype=np.uint8), [[[0, 0]]] * 3),
        (np.array([[1, 2]], dtype=np.uint8)[:, ::-1], [[[2, 1]]]),
        (np.array([[False, True]]), [[[0, 255]]]),
        (Image.new("L", (2, 1), 9), [[[9, 9]]]),
    ],
)
def test_bytes_stay_bytes(image: Any, expected: list[list[list[int]]]) -> None:
    tensor = image_tensor(image)
    assert tensor.dtype == torch.uint8
    assert tensor.tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_floating_point_numbers_stay_what_they_are(dtype: torch.dtype) -> None:
    image = torch.tensor([[[-2.5, 255.0, 0.5]]], dtype=dtype)
    tensor = image_tensor(image)
    assert tensor.dtype == torch.float32
    assert tensor.tolist() == [[[-2.5, 255.0, 0.5]]]
