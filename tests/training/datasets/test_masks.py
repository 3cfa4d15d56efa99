"""Masks: read in every form, and moved with their images whatever is done to these."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import max_pool2d

from ktgdsl.errors import KtgWarning, RunError
from ktgdsl.plan.model import Call, DataPlan
from ktgdsl.training.batches import batches_in_order, numbered_batches
from ktgdsl.training.data import Split, Splits
from ktgdsl.training.datasets import memory
from ktgdsl.training.datasets.augment import Augment
from ktgdsl.training.datasets.content import content_digest
from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.image_set import TensorImages
from ktgdsl.training.datasets.masks import mask_tensor
from ktgdsl.training.datasets.read import read
from ktgdsl.training.datasets.resizing import ResizedImages, Resizing
from tests.training.datasets.plans import error_of, loaded, user_data

# The label of a pixel is a function of its brightness, which nothing done to an image changes.
SETS = """
import numpy as np
import torch
from PIL import Image

def mask_of(image):
    return image.astype(np.int64) // 60 - 1  # -1 to 3

def pictures(split, count, tall=12, wide=10):
    random = np.random.default_rng(split == "test")
    return random.integers(0, 256, (count, 1, tall, wide), dtype=np.uint8)

def arrays(split, count=24):
    image = pictures(split, count)
    return image, mask_of(image[:, 0])

def tensors(split):
    image, mask = arrays(split)
    return torch.from_numpy(image), torch.from_numpy(mask)[:, None].float()

class Pictures(torch.utils.data.Dataset):
    def __init__(self, split, form="tuple", grow=0, shape=None, odd=None):
        self.image = pictures(split, 24 if form != "rarely" else 72)
        self.split, self.form, self.grow, self.odd = split, form, grow, odd

    def __len__(self):
        return len(self.image)

    def __getitem__(self, i):
        image = self.image[i, 0]
        if self.form == "random" and self.split == "train":
            image = np.roll(image, int(torch.randint(9, ())), axis=1)
            if torch.rand(()) < 0.5:
                image = image[:, ::-1]
        if self.form == "rarely" and i == 23 and torch.rand(()) < 0.2:
            image = image[:, ::-1]
        if self.form in ("colours", "rarely") and self.split == "train":
            noise = torch.randint(-9, 9, ()).item()
            return (image.astype(np.float32) + noise) / 255, mask_of(image)
        mask = mask_of(image)
        if self.odd is not None and i == 20:
            mask = np.where(mask < 0, self.odd, mask)
        if self.grow:
            each = np.ones((6, 6 + 6 * (i % self.grow)), np.int64)
            image, mask = np.kron(image, each.astype(np.uint8)), np.kron(mask, each)
        if self.form == "pillow":
            return Image.fromarray(image), Image.fromarray(mask.astype(np.int32))
        if self.form == "dict":
            return {"image": torch.tensor(image.copy())[None], "mask": torch.tensor(mask)[None]}
        return image, (None if self.form == "none" and i % 2 else mask)
"""


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masks")
    (folder / "pixel_sets.py").write_text(SETS)
    return folder


def data_of(folder: Path, function: str, fields: Any = None, **arguments: Any) -> DataPlan:
    source = Call(name="python", arguments={"function": f"pixel_sets:{function}", **arguments})
    return user_data(source, folder, batch=8, **(fields or {}))


def expected(image: Tensor) -> Tensor:
    """The mask of images (B, 1, H, W) in [0, 1]."""
    return (image[:, 0] * 255).round().long() // 60 - 1


def drawn(split: Split) -> Iterator[tuple[Tensor, ...]]:
    for epoch in (1, 2):
        yield from numbered_batches(split, 8, 0, epoch)


def require_related(splits: Splits) -> None:
    """Every pixel of every batch has the label that its brightness says."""
    for image, mask, _ in drawn(splits.train):
        assert mask.dtype == torch.int64
        assert torch.equal(mask, expected(image))
        assert {*mask.flatten().tolist()} == {-1, 0, 1, 2, 3}
    for image, mask in batches_in_order(splits.test, 7):
        assert torch.equal(mask, expected(image))


FORMS: list[tuple[str, dict[str, str], str]] = [
    ("arrays", {}, "none"),
    ("arrays", {}, "paper"),
    ("tensors", {}, "paper"),
    ("Pictures", {"form": "pillow"}, "paper"),
    ("Pictures", {"form": "dict"}, "none"),
    ("Pictures", {"form": "random"}, "none"),
    ("Pictures", {"form": "random"}, "paper"),
]


@pytest.mark.parametrize(("function", "arguments", "augment"), FORMS)
def test_masks_move_with_their_images(
    sets: Path, monkeypatch: pytest.MonkeyPatch, function: str, arguments: Any, augment: str
) -> None:
    data = data_of(sets, function, {"augment": augment}, **arguments)
    resident = loaded(data)
    require_related(resident)
    random = arguments.get("form") == "random"
    assert (resident.train.stream is not None) == random
    monkeypatch.setattr(memory, "free", lambda device: 0)
    streamed = loaded(data)
    assert streamed.train.stream is not None
    for one, other in zip(drawn(resident.train), drawn(streamed.train), strict=True):
        assert all(map(torch.equal, one, other))


def test_workers_read_masks_too(sets: Path) -> None:
    one, other = (
        [*drawn(loaded(data_of(sets, "Pictures", {"workers": n}, form="random")).train)]
        for n in (0, 1)
    )
    assert all(all(map(torch.equal, *pair)) for pair in zip(one, other, strict=True))


def test_padding_has_no_label_where_it_is_black() -> None:
    image = torch.arange(1, 31, dtype=torch.uint8).view(1, 1, 5, 6).repeat(64, 1, 1, 1)
    mask = image[:, 0].short()
    for reflect in (False, True):
        augment = Augment(pad=2, flips=True, reflect=reflect)
        draws = augment.draw(64, 0, 1)
        moved = augment.apply(image, draws)[:, 0].short()
        found = augment.apply_to_masks(mask, draws)
        assert torch.equal(found, torch.where(moved == 0, -1, moved))
        assert bool((found == -1).any()) is not reflect


@pytest.mark.parametrize("crop", [None, "center", "random"])
def test_masks_are_cut_and_scaled_with_their_images(crop: Any) -> None:
    # Blocks of 8 pixels, so that the middle of each is untouched by what mixes neighbours; and
    # five degrees of brightness, of which mixtures are hardly another.
    bright = torch.tensor([0.0, 17.3, 53.9, 131.1, 241.7])
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 5, (40, 1, 6, 9), generator=generator)
    number = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)
    source = TensorImages(bright[number], number[:, 0].short() - 1)
    resized = ResizedImages(source, Resizing((32, 24), crop))
    images, masks = resized.drawn(3).samples(range(40))
    assert (images.shape, masks.shape, masks.dtype) == ((40, 1, 32, 24), (40, 32, 24), torch.int16)
    assert torch.equal(images, resized.drawn(3).__getitems__(range(40)))
    distance, nearest = (images[:, 0, :, :, None] - bright).abs().min(-1)
    middle = distance < 1e-3
    assert middle.float().mean() > 0.15
    assert torch.equal(nearest.short()[middle] - 1, masks[middle])
    assert resized.moving is (crop == "random")
    still = resized.evaluated().samples([4, 2])
    assert torch.equal(still[1], resized.evaluated().samples([2, 4])[1].flip(0))


def test_a_scaled_pixel_has_the_label_at_its_middle() -> None:
    mask = torch.arange(16, dtype=torch.int16).expand(1, 4, 16)
    _, found = Resizing((1, 4)).with_masks(torch.zeros(1, 1, 4, 16), mask)
    assert found.tolist() == [[[2, 6, 10, 14]]]
    _, found = Resizing((4, 32)).with_masks(torch.zeros(1, 1, 4, 16), mask)
    assert found[0, 0].tolist() == [n // 2 for n in range(32)]


def test_images_of_any_size_are_read_with_their_masks(sets: Path) -> None:
    for crop in (None, "center", "random"):
        splits = loaded(data_of(sets, "Pictures", {"resize": (72, 60), "crop": crop}, grow=3))
        assert next(batches_in_order(splits.test, 3))[1].shape == (3, 72, 60)
        for image, mask, _ in drawn(splits.train):
            # Where all neighbours are equal, images are not mixed there.
            least, greatest = -max_pool2d(-image, 3, 1, 1), max_pool2d(image, 3, 1, 1)
            same = (least == greatest)[:, 0]
            assert same.float().mean() > 0.03
            assert torch.equal(mask[same], expected(image)[same])


def test_labeled_counts_samples_with_a_labeled_pixel(sets: Path) -> None:
    data = data_of(sets, "Pictures", {"labeled": 5, "holdout": True, "validation": 4}, form="none")
    splits = loaded(data)
    known = read(data)[1].known_facts
    assert (known.masks, known.train_labeled, known.classes) == (True, 12, 4)
    assert splits.validation is not None
    assert (len(splits.validation), len(splits.train)) == (4, 20)
    assert all(bool((mask >= 0).any()) for _, mask in batches_in_order(splits.validation, 1))
    assert sorted(splits.train.label.tolist()) == [-1] * 15 + [0] * 5
    for image, mask, sample in drawn(splits.train):
        labeled = splits.train.label[sample] >= 0
        assert torch.equal(mask[labeled], expected(image)[labeled])
        assert bool((mask[~labeled] == -1).all())
    mixed = [*numbered_batches(splits.train, 8, 0, 1, labeled=2)]
    assert all((mask >= 0).flatten(1).any(1).sum() == 2 for _, mask, _ in mixed)
    # The labels that fewer samples keep are among those that more do.
    more = loaded(data.model_copy(update={"labeled": 7})).train.label
    assert bool(((more >= 0) | (splits.train.label < 0)).all())


def test_streamed_masks_of_samples_without_a_label_do_not_count(
    sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_of(sets, "arrays", {"labeled": 5})
    resident = [*drawn(loaded(data).train)]
    monkeypatch.setattr(memory, "free", lambda device: 0)
    for one, other in zip(resident, drawn(loaded(data).train), strict=True):
        assert all(map(torch.equal, one, other))
    assert sum(int((mask >= 0).flatten(1).any(1).sum()) for _, mask, _ in resident[:3]) == 5


def test_a_mask_counts_in_the_digest_of_the_data(sets: Path) -> None:
    def digest(function: str, **arguments: Any) -> str:
        return content_digest(read(data_of(sets, function, **arguments))[0])

    assert digest("arrays") == digest("tensors") == digest("Pictures")
    assert digest("Pictures") != digest("Pictures", form="none")
    assert digest("Pictures", form="random") == digest("Pictures", form="random")


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        (np.zeros((5, 4)), "its mask has the shape (5, 4), and its image 4 x 5 pixels"),
        (np.zeros((3, 4, 5)), "(3, 4, 5), and its image 4 x 5 pixels: of one-hot masks the `arg"),
        (np.full((4, 5), 0.5), "its mask has 0.5, and classes are whole numbers"),
        (np.full((4, 5), np.nan), "its mask has nan, and classes are whole numbers"),
        (np.full((4, 5), np.inf), "its mask has inf, which is no number of a class"),
        (np.full((4, 5), 70_000), "its mask has 70000, which is no number of a class"),
        (3, "its label is 3, and others are masks"),
        (Image.new("RGB", (5, 4)), "its mask is a Pillow image of mode RGB, and classes are"),
    ],
)
def test_what_is_no_mask_is_refused(label: Any, problem: str) -> None:
    with pytest.raises(UnreadableError) as error:
        mask_tensor(label, (4, 5))
    assert problem in str(error.value)


def test_masks_have_any_type() -> None:
    numbers = np.arange(20).reshape(4, 5) % 3
    palette = Image.fromarray(numbers.astype(np.uint8))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    forms = [
        *(numbers, numbers[None], numbers[..., None], numbers.astype(np.float16)),
        *(torch.tensor(numbers).to(torch.uint16), Image.fromarray(numbers.astype(np.uint8))),
        palette,
    ]
    for each in forms:
        assert mask_tensor(each, (4, 5)).tolist() == numbers.tolist()
    assert mask_tensor(numbers > 1, (4, 5)).tolist() == (numbers > 1).astype(int).tolist()
    assert mask_tensor(None, (4, 5)).tolist() == [[-1] * 5] * 4


def test_a_class_that_comes_up_later_is_an_error(sets: Path) -> None:
    """Random images may show a label that the first reading did not have."""
    (sets / "late_sets.py").write_text(
        "import torch\nclass fn(torch.utils.data.Dataset):\n"
        "    def __init__(self, split): self.train = split == 'train'\n"
        "    def __len__(self): return 40\n"
        "    def __getitem__(self, i):\n"
        "        image, mask = torch.rand(1, 8, 8), torch.arange(64).view(8, 8) % 2\n"
        "        return image, mask + 2 * (self.train and i == 39 and bool(image[0, 0, 0] < 0.1))\n"
    )
    source = Call(name="python", arguments={"function": "late_sets:fn"})
    split = loaded(user_data(source, sets, batch=8)).train
    epochs = (each for epoch in range(99) for each in numbered_batches(split, 8, 0, epoch))
    with pytest.raises(RunError, match="mask of sample 39 has the label 3, and labels of 2"):
        list(epochs)


def test_numbers_that_stand_for_no_class(sets: Path) -> None:
    data = data_of(sets, "Pictures", odd=255)
    with pytest.warns(KtgWarning, match="no pixel of a training sample is of class 4, 5, 6"):
        loaded(data)
    error = error_of(data.model_copy(update={"classes_expected": 4}))
    assert "has the label 255 in train, and labels of 4 classes are 0 to 3" in error.message
    assert "often 255" in str(error.help)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("np.zeros((11, 8, 8), int)", "there are 11 masks of 12 images"),
        ("np.zeros((12, 8, 9), int)", "sample 0: its mask has the shape (8, 9), and its image 8 x"),
        ("np.eye(3, dtype=int)[np.zeros((12, 8, 8), int)]", "of one-hot masks the `argmax`"),
        ("[0] * 12 if split == 'test' else np.zeros((12, 8, 8), int)",
         "have masks in train, and one label for each image in test"),
        ("np.full((12, 8, 8), -1)", "have no labels that say how many classes there are"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_masks(sets: Path, labels: str, problem: str) -> None:
    name = f"no_masks_{abs(hash(labels))}"
    text = f"import numpy as np\ndef fn(split): return np.zeros((12, 1, 8, 8), 'uint8'), {labels}\n"
    (sets / f"{name}.py").write_text(text)
    source = Call(name="python", arguments={"function": f"{name}:fn"})
    assert problem in error_of(user_data(source, sets)).message


@pytest.mark.parametrize(
    ("form", "fields", "moving"),
    [
        ("random", {}, "the Dataset moves"),
        ("tuple", {"augment": "paper"}, "`augment = paper` moves"),
        ("tuple", {"resize": (8, 8), "crop": "random"}, "`crop = random` moves"),
    ],
)
def test_views_whose_pixels_are_apart_are_refused(
    sets: Path, form: str, fields: Any, moving: str
) -> None:
    error = error_of(data_of(sets, "Pictures", {"views": 2, **fields}, form=form))
    assert moving in error.message


def test_views_that_move_now_and_then_are_refused_when_they_do(sets: Path) -> None:
    split = loaded(data_of(sets, "Pictures", {"views": 2}, form="rarely")).train
    epochs = (each for epoch in range(20) for each in numbered_batches(split, 8, 0, epoch, views=2))
    with pytest.raises(RunError, match="the masks of both views of a sample differ"):
        list(epochs)


def test_views_in_other_colours_have_one_mask(sets: Path) -> None:
    split = loaded(data_of(sets, "Pictures", {"views": 2}, form="colours")).train
    for image, mask, _, other in numbered_batches(split, 8, 0, 1, views=2):
        assert not torch.equal(image, other)
        shift = (image - other).flatten(1)
        assert torch.allclose(shift, shift[:, :1], atol=1e-5)  # no pixel has moved
        assert mask.shape == (8, 12, 10)
