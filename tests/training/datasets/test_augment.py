"""Augmentation against NumPy's padding, image by image, and what its draws depend on."""

from typing import Literal

import numpy as np
import pytest
import torch

from ktgdsl.training.batches import batches
from ktgdsl.training.data import Split
from ktgdsl.training.datasets.augment import Augment, AugmentDraws
from ktgdsl.training.datasets.preprocessing import Preprocessing


def images(count: int, channels: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 12), (3, 3, 5), (1, 1, 2)])
@pytest.mark.parametrize(("reflect", "mode"), [(True, "reflect"), (False, "constant")])
def test_crops_and_flips_are_those_of_numpy(
    shape: tuple[int, int, int], reflect: bool, mode: Literal["reflect", "constant"]
) -> None:
    augment = Augment(pad=4, flips=True, reflect=reflect)
    image = images(40, *shape)
    moves = augment.draw(40, seed=1, epoch=2)
    _, H, W = shape
    found = augment.apply(image, moves)
    for i in range(40):
        padded = np.pad(image[i].numpy(), ((0, 0), (4, 4), (4, 4)), mode)
        top, left = int(moves.down[i]) + 4, int(moves.right[i]) + 4
        cut = padded[:, top : top + H, left : left + W]
        expected = cut[:, :, ::-1] if moves.flip[i] else cut
        np.testing.assert_array_equal(found[i].numpy(), expected)


def test_every_crop_and_flip_is_equally_likely() -> None:
    moves = Augment(pad=4, flips=True, reflect=True).draw(81_000, seed=0, epoch=1)
    assert (int(moves.down.min()), int(moves.down.max())) == (-4, 4)
    places = np.bincount(((moves.down + 4) * 9 + moves.right + 4).numpy(), minlength=81)
    # 1000 are expected at each place, with a standard deviation of 31.4.
    assert np.abs(places - 1000).max() < 5 * 31.4
    assert abs(int(moves.flip.sum()) - 40_500) < 5 * 142.3
    assert not Augment(4, flips=False, reflect=True).draw(1000, 0, 1).flip.any()


def test_crops_and_flips_depend_on_seed_and_epoch_alone() -> None:
    augment = Augment(pad=4, flips=True, reflect=True)

    def drawn(seed: int, epoch: int) -> list[int]:
        return augment.draw(50, seed, epoch).down.tolist()

    before = torch.random.get_rng_state()
    assert drawn(0, 1) == drawn(0, 1)
    assert drawn(0, 1) != drawn(1, 1)
    assert drawn(0, 1) != drawn(0, 2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_augmentation_does_not_depend_on_the_batch_size() -> None:
    preprocessing = Preprocessing(Augment(pad=4, flips=True, reflect=True))
    split = Split(images(64, 3, 8, 8), torch.arange(64), preprocessing=preprocessing)
    small = torch.cat([image for image, _ in batches(split, 16, seed=0, epoch=1)])
    ((large, _),) = batches(split, 64, seed=0, epoch=1)
    assert torch.equal(small, large)


def test_images_are_normalised_by_channel_where_white_is_one() -> None:
    mean, std = torch.tensor([0.5, 0.25, 0.0]), torch.tensor([0.5, 0.1, 2.0])
    preprocessing = Preprocessing(None, mean.view(3, 1, 1), std.view(3, 1, 1))
    split = Split(images(4, 3, 5, 5), torch.arange(4), preprocessing=preprocessing)
    image, _ = split.batch(slice(0, 4))
    expected = (split.image.numpy() / 255 - mean.numpy().reshape(3, 1, 1)) / std.numpy().reshape(
        3, 1, 1
    )
    np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)


def test_draws_can_be_sliced_like_batches() -> None:
    moves = AugmentDraws(torch.arange(6), torch.arange(6) + 10, torch.arange(6) > 2)[2:4]
    assert (moves.down.tolist(), moves.right.tolist()) == ([2, 3], [12, 13])
    assert moves.flip.tolist() == [False, True]
