"""Scripts read the same samples as runs, bit for bit, whatever the data are."""

from pathlib import Path

import pytest
from PIL import Image

from ktgdsl.plan.model import Facts, Plan
from ktgdsl.training.datasets.read import complete
from tests import lookalikes
from tests.specs import graph, sound
from tests.standalone.scripts import differing

NODE = "node a = resnet(depth=8, width=4) target a edge label -> a"


TINY = Facts(classes=2, shape=(3, 64, 64), train_samples=12, test_samples=4)


def plan_of(block: str) -> Plan:
    """A plan of these data, for two epochs."""
    return complete(sound(graph(NODE, f"data {block} train {{ epochs = 2 }}")))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Some images of two classes and of several sizes, one of them turned by its EXIF tag."""
    for split, count in (("train", 6), ("test", 3)):
        for label in ("cat", "dog"):
            for number in range(count):
                path = tmp_path / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = Image.effect_noise((9 + number, 12), 80)
                image = Image.merge("RGB", (noise, noise, noise.rotate(90)))
                exif = image.getexif()
                exif[0x0112] = 6
                image.save(path, exif=exif if number == 2 else None)
    return tmp_path


OWN = {
    "floats": "{ batch = 4  augment = standard }",
    "Samples": "{ batch = 4  classes = 3  validation = 4 }",
    "Dicts": "{ batch = 4  resize = 6  holdout = true }",
    "Flipped": "{ batch = 4  augment = standard }",
    "partly_labeled": "{ batch = 4  classes = 3  samples = 20  validation = 5  holdout = true }",
}
"""Settings of data, by the function in `own` that gives them."""


@pytest.mark.parametrize(("function", "settings"), OWN.items(), ids=OWN)
def test_own_data(function: str, settings: str) -> None:
    assert differing(plan_of(f'python("tests.standalone.own:{function}") {settings}')) == []


@pytest.mark.parametrize(
    "block",
    [
        "digits { batch = 8  samples = 24  resize = [6, 10]  crop = center }",
        "digits { batch = 8  samples = 24  resize = 9  crop = random  augment = standard "
        "validation = 4  holdout = true }",
        'python("tests.standalone.own:Samples") { batch = 4  resize = 9  crop = random }',
    ],
)
def test_images_of_another_size(block: str) -> None:
    assert differing(plan_of(block)) == []


@pytest.mark.parametrize("crop", ["", "crop = random"])
def test_folders_of_images(photos: Path, crop: str) -> None:
    assert differing(plan_of(f'folder("{photos}") {{ batch = 4  resize = [8, 8] {crop} }}')) == []


@pytest.mark.parametrize(
    "settings", ["labeled = 8  labeled_batch = 1", "samples = 20  validation = 4  holdout = true"]
)
def test_masks(settings: str) -> None:
    block = f'python("tests.standalone.own:masks") {{ batch = 4  augment = paper  {settings} }}'
    nodes = 'node a, b = python("tests.standalone.own:pixelwise") target a'
    edges = "edge label -> * edge a <-> b : kl(T=2) via correct"
    train = "train { epochs = 2 }"
    assert differing(complete(sound(graph(f"{nodes} {edges}", f"data {block} {train}")))) == []


TWO = 'python("tests.standalone.own:TwoHeads") { heads = [place, side] }'


@pytest.mark.parametrize(
    "settings",
    ["labeled = 8  labeled_batch = 1", "samples = 24  validation = 6  holdout = true"],
)
def test_several_labels(settings: str) -> None:
    """With a pre-trained teacher, and the best epoch by the mean of the heads."""
    nodes = f"node a, t = {TWO} target a"
    edges = "edge label.place -> a.place edge label.side -> a.side edge t.side -> a.side : kl"
    block = f'python("tests.standalone.own:two_labels") {{ batch = 4  {settings} }}'
    take = "take = best" if "holdout" in settings else ""
    train = f"train {{ epochs = 2 }} phase only {{ learn = [a]  epochs = 2  {take} }}"
    assert differing(complete(sound(graph(f"{nodes} {edges}", f"data {block} {train}")))) == []


def test_tiny_imagenet(tmp_path: Path) -> None:
    lookalikes.tiny_imagenet(tmp_path)
    plan = sound(graph(NODE, f'data tiny_imagenet {{ batch = 6  root = "{tmp_path}" }}'))
    data = plan.data.model_copy(update={"facts": TINY, "validation": 1})
    train = plan.train.model_copy(update={"epochs": 1})
    assert differing(plan.model_copy(update={"data": data, "train": train})) == []
