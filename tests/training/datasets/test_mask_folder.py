"""`folder("path", labels=masks)`: images beside masks in PNG files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.errors import KtgWarning
from ktgdsl.plan.model import Call, DataPlan, Percent
from ktgdsl.training.datasets.folder_summary import summarize_folder
from ktgdsl.training.datasets.read import read
from tests.training.datasets.plans import error_of, loaded, user_data

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def mask_of(number: int) -> Pixels:
    """Classes 0 to 2 and pixels without a label, other ones in each mask."""
    mask = np.random.default_rng(number).integers(0, 4, (6, 5)).astype(np.uint8)
    mask[mask == 3] = 255
    return mask


def save(mask: Pixels, path: Path, mode: str = "L") -> None:
    """A PNG file of numbers, of grey pixels or of a palette whose colours say nothing."""
    image = Image.fromarray(mask)
    if mode == "P":
        image.putpalette([(7 * i) % 256 for i in range(768)])
        assert image.mode == "P"
    image.save(path)


def write(
    folder: Path, images: str = "{}/images", masks: str = "{}/masks", mode: str = "L"
) -> Path:
    """Six images to train and two to test, brighter by number, and their masks."""
    for split, numbers in (("train", range(6)), ("test", range(6, 8))):
        for each in (images, masks):
            (folder / each.format(split)).mkdir(parents=True, exist_ok=True)
        for n in numbers:
            pixels = np.full((6, 5, 3), 30 * n, np.uint8)
            Image.fromarray(pixels).save(folder / images.format(split) / f"{n}.jpg", quality=100)
            save(mask_of(n), folder / masks.format(split) / f"{n}.png", mode)
    return folder


def write_voc(folder: Path) -> Path:
    """The same as PASCAL VOC has it, with an image that no list names and that has no mask."""
    write(folder, "JPEGImages", "SegmentationClass", "P")
    Image.new("RGB", (5, 6)).save(folder / "JPEGImages" / "other.jpg")
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n2\n3\n4\n5\n")
    (lists / "val.txt").write_text("6\n7\n")
    return folder


def plan(root: Path, **fields: object) -> DataPlan:
    source = Call(name="folder", arguments={"path": "set", "labels": "masks"})
    return user_data(source, root, **{"validation": Percent(percent=50), **fields})


@pytest.mark.parametrize("layout", ["grey", "palette", "voc"])
def test_pixels_have_the_numbers_of_the_files(tmp_path: Path, layout: str) -> None:
    if layout == "voc":
        write_voc(tmp_path / "set")
    else:
        write(tmp_path / "set", mode="P" if layout == "palette" else "L")
    data_set, data = read(plan(tmp_path))
    assert (data.known_facts.classes, data.known_facts.masks, data.known_facts.shape) == (
        3,
        True,
        (3, 6, 5),
    )
    for part, numbers in ((data_set.train, range(6)), (data_set.test, range(6, 8))):
        images, masks = part.lazy.samples(range(len(numbers)))
        expected = np.stack([mask_of(n) for n in numbers]).astype(int)
        assert masks.tolist() == np.where(expected == 255, -1, expected).tolist()
        assert (masks == -1).any()
        # JPEG is not exact.
        assert [round(each / 30) for each in images[:, 0, 0, 0].tolist()] == [*numbers]


def test_sizes_may_differ_where_they_are_resized(tmp_path: Path) -> None:
    write(tmp_path / "set")
    Image.new("RGB", (10, 12)).save(tmp_path / "set/train/images/0.jpg")
    save(mask_of(0).repeat(2, 0).repeat(2, 1), tmp_path / "set/train/masks/0.png")
    found = loaded(plan(tmp_path, resize=(6, 5)))
    assert found.train.image.shape == (6, 3, 6, 5)
    assert found.train.mask is not None
    first = mask_of(0).astype(int)
    assert found.train.mask[0].tolist() == np.where(first == 255, -1, first).tolist()


def test_there_may_be_more_classes_than_in_the_files(tmp_path: Path) -> None:
    write(tmp_path / "set")
    assert read(plan(tmp_path, classes_expected=21))[1].known_facts.classes == 21


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("gone", "the image {}/train/images/2.jpg has no mask {}/train/masks/2.png"),
            ("size", "the mask {}/test/masks/6.png has 7x5 pixels, and its image 6x5"),
            ("alone", "the mask {}/train/masks/9.png has no image in {}/train/images"),
            ("colour", "the mask {}/test/masks/6.png is a PNG file of mode RGB, and classes are "),
            ("folder", "there is no folder {}/train/masks"),
            ("empty", "there is no image in {}/test/images"),
            ("damaged", "the image {}/test/masks/6.png cannot be read"),
            ("binary", "the masks have no numbers but 0 and 255, which is a pixel without a "),
        ],
    )
    def test_files_that_do_not_fit_are_named(
        self, tmp_path: Path, change: str, message: str
    ) -> None:
        folder = write(tmp_path / "set")
        match change:
            case "gone":
                (folder / "train/masks/2.png").unlink()
            case "size":
                save(np.zeros((7, 5), np.uint8), folder / "test/masks/6.png")
            case "alone":
                save(mask_of(9), folder / "train/masks/9.png")
            case "colour":
                Image.new("RGB", (5, 6)).save(folder / "test/masks/6.png")
            case "folder":
                (folder / "train/masks").rename(folder / "train/labels")
            case "empty":
                for each in (folder / "test/images").iterdir():
                    each.unlink()
            case "damaged":
                (folder / "test/masks/6.png").write_bytes(b"nothing")
            case "binary":
                for each in folder.glob("*/masks/*.png"):
                    save(np.where(mask_of(0) == 1, 255, 0).astype(np.uint8), each)
        found = error_of(plan(tmp_path))
        assert found.message.startswith(message.replace("{}", str(folder)))
        assert found.help is not None
        assert "train/masks/x.png" in found.help

    def test_what_the_lists_name_is_there(self, tmp_path: Path) -> None:
        folder = write_voc(tmp_path / "set")
        (folder / "JPEGImages" / "7.jpg").unlink()
        message = error_of(plan(tmp_path)).message
        assert message.startswith(f"there is no image {folder}/JPEGImages/7.jpg, which ")
        (folder / "ImageSets/Segmentation/val.txt").unlink()
        assert "val.txt cannot be read" in error_of(plan(tmp_path)).message

    def test_masks_are_no_class_of_other_data(self, tmp_path: Path) -> None:
        """Without `labels=masks` folders are classes, as always."""
        write(tmp_path / "set")
        source = Call(name="folder", arguments={"path": "set"})
        with pytest.warns(KtgWarning, match="are `images` and `masks`, by its folders"):
            facts = read(user_data(source, tmp_path))[1].known_facts
        assert (facts.classes, facts.masks) == (2, False)


SPEC = """
graph g { node a = python("unet_of_tests:net")  target a  edge label -> a }
data folder("set", labels=masks) { batch = 3  augment = paper }
train { epochs = 1  optimizer = sgd(lr=0.1) }
"""


def test_a_run_and_its_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "set")
    (tmp_path / "unet_of_tests.py").write_text(
        "from torch import nn\n\n\ndef net():\n    return nn.Conv2d(3, 3, 3, padding=1)\n"
    )
    (tmp_path / "g.ktg").write_text(SPEC)
    result = ktgdsl.run(ktgdsl.load(tmp_path / "g.ktg"), out=tmp_path / "run", device="cpu")
    network = ktgdsl.load_network(result.folder, "a")
    right = whole = 0
    for n in (6, 7):
        pixels = np.asarray(Image.open(tmp_path / "set" / "test" / "images" / f"{n}.jpg"))
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            answer = network(image)[0].argmax(0).numpy()
        mask = mask_of(n)
        right += int((answer == mask)[mask < 255].sum())
        whole += int((mask < 255).sum())
    assert result.nodes["a"].accuracy.mean == pytest.approx(100 * right / whole)
    assert result.nodes["a"].metrics is not None
    evaluation = ktgdsl.evaluate(
        result.folder, data=f'folder("{tmp_path / "set"}", labels=masks)', device="cpu"
    )
    assert evaluation.samples == whole
    assert cli.main(["plan", str(tmp_path / "g.ktg")]) == 0
    assert "6 to train, 2 to test, with masks" in capsys.readouterr().out


def test_what_is_known_without_reading_masks(tmp_path: Path) -> None:
    write(tmp_path / "set")
    summary = summarize_folder(plan(tmp_path))
    assert (summary.facts, summary.text) == (None, "6 to train, 2 to test, with masks")
    facts = summarize_folder(plan(tmp_path, classes_expected=3)).facts
    assert facts is not None
    assert facts.masks
