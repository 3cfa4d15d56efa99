"""The data set of a script: how its samples are read, as `read_data`."""

import base64
import lzma
import textwrap
from pathlib import Path

from torchvision.datasets import ImageFolder

from ktgdsl.plan.model import DataPlan
from ktgdsl.standalone import image_reading
from ktgdsl.standalone.own_data import OwnData
from ktgdsl.standalone.source import Definitions, import_line, own_name
from ktgdsl.standalone.text import block, options
from ktgdsl.training import digits
from ktgdsl.training.datasets import image_files, tiny_imagenet
from ktgdsl.training.datasets.image_paths import image_folder_of, image_paths

TORCHVISION = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}
"""The name of a data set in torchvision, by its word in the vocabulary."""

FILES = ("folder", "tiny_imagenet")
"""The data sets that are image files."""

_OPENING = '''def read_data() -> tuple[Split, Split]:
    """The samples to train with, and those to test on."""'''
"""The beginning of most functions that read data."""


def read_code(data: DataPlan, own: OwnData, used: Definitions) -> list[str]:
    """`read_data`, which gives the samples to train with and those to test on, and its helpers.

    Args:
        data: of the plan, with its facts.
        own: how data of the user's are read, if they are.
        used: gets what they use of the package, and of other code.
    """
    used.imports.add("import torch")
    word = data.source.name
    if word == "python":
        return _own(data, own, used)
    if word in FILES:
        return _files(data, used)
    return [_digits(data, used) if word == "digits" else _torchvision(word, used)]


def root_of(data: DataPlan) -> str | None:
    """The folder of the data set that a script reads; None where it reads none."""
    word, root = data.source.name, "data" if data.root is None else data.root
    if word == "folder":
        return str(image_folder_of(data))
    if word == "tiny_imagenet":
        return str(Path(root, tiny_imagenet.FOLDER))
    return root if word in TORCHVISION else None


def embedded(data: DataPlan) -> str | None:
    """The text that has the samples of the data set `digits`, for the end of a script."""
    if data.source.name != "digits":
        return None
    image, label = digits.read()
    raw = image.numpy().tobytes() + label.byte().numpy().tobytes()
    text = base64.b85encode(lzma.compress(raw, preset=9)).decode()
    return f'DIGITS = """\n{textwrap.fill(text, 99)}\n"""'


def differs_from_image_folder(data: DataPlan) -> bool:
    """Whether torchvision finds other images, or other classes, in the folder than a run does."""
    found, root = image_paths(data), image_folder_of(data)
    try:
        theirs = {split: ImageFolder(root / split).samples for split in found.files}
    except FileNotFoundError:  # a class without images
        return True
    return any(
        theirs[split] != [*zip(map(str, paths), labels, strict=True)]
        for split, (paths, labels) in found.files.items()
    )


def drawn(data: DataPlan, own: OwnData) -> str | None:
    """The class of images that are drawn anew whenever they are read; None of others."""
    if data.crop == "random":
        return image_reading.CroppedImages.__name__
    return image_reading.DrawnImages.__name__ if own.random else None


def drawn_images(image: str, count: str, data: DataPlan, used: Definitions) -> str:
    """An expression for images that are drawn anew; `image` is a function that gives one."""
    if data.crop == "random":
        used.add(image_reading.CroppedImages)
        return f"CroppedImages({image}, torch.arange({count}), SIZE)"
    used.add(image_reading.DrawnImages)
    return f"DrawnImages({image}, torch.arange({count}))"


def resized(image: str, data: DataPlan, used: Definitions) -> str:
    """An expression for images in the size that the plan gives them, unless it is drawn."""
    if data.resize is None or data.crop == "random":
        return image
    function = image_reading.stretched if data.crop is None else image_reading.center_cropped
    used.add(function)
    return f"{function.__name__}({image}, SIZE)"


def _digits(data: DataPlan, used: Definitions) -> str:
    used.imports |= {"import base64", "import lzma"}
    samples, count = data.known_facts.train_samples, len(digits.read()[1])
    return f'''def read_data() -> tuple[Split, Split]:
    """The digits to train with, and those to test on: pixels from 0 to 16."""
    content = bytearray(lzma.decompress(base64.b85decode("".join(DIGITS.split()))))
    pixels, label = torch.frombuffer(content, dtype=torch.uint8).split([{count * 64}, {count}])
    image, label = pixels.view(-1, 1, 8, 8), label.long()
    first, rest = slice({samples}), slice({samples}, None)
    return Split(image[first], label[first]), Split(image[rest], label[rest])'''


def _torchvision(word: str, used: Definitions) -> str:
    used.imports.add("from torchvision import datasets")
    kind = TORCHVISION[word]
    split = 'split="train"', 'split="test"'
    which = split if word == "svhn" else ("train=True", "train=False")
    image = {
        "mnist": "found.data[:, None]",
        "svhn": "torch.from_numpy(found.data)",
        "cifar10": "torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()",
    }[{"fashion_mnist": "mnist", "cifar100": "cifar10"}.get(word, word)]
    label = {"svhn": "found.labels"}.get(word, "found.targets")
    return f"""{_OPENING}
    return tuple(
        Split({image}, torch.as_tensor({label}).long())
        for found in (
            datasets.{kind}(ROOT, {which[0]}, download=True),
            datasets.{kind}(ROOT, {which[1]}, download=True),
        )
    )"""


def _files(data: DataPlan, used: Definitions) -> list[str]:
    """`read_files`, and `read_data` by torchvision's `ImageFolder`."""
    used.imports |= {"from torchvision import datasets", "from pathlib import Path"}
    used.add(image_reading.read_image)
    if data.crop == "random":
        image = f"lambda index: read_image(samples[index][0], {data.shape[0]})"
        images = drawn_images(image, "len(samples)", data, used)
    else:
        image = resized(f"read_image(path, {data.shape[0]})", data, used)
        images = f"torch.stack([{image} for path, _ in samples])"
    read_files = f'''def read_files(samples: list[tuple[str, int]]) -> Split:
    """The images in files, each with the number of its class."""
    images = {images}
    return Split(images, torch.tensor([number for _, number in samples]))'''
    if data.source.name == "folder":
        folders = '(datasets.ImageFolder(Path(ROOT, split)) for split in ("train", "test"))'
        read_data = f"""{_OPENING}
    return tuple(read_files(each.samples) for each in {folders})"""
        return [read_files, read_data]
    read_data = f"""{_OPENING}
    train, val = datasets.ImageFolder(Path(ROOT, "train")), Path(ROOT, "val")
    rows = [line.split("\\t") for line in (val / "val_annotations.txt").read_text().splitlines()]
    test = [(str(val / "images" / row[0]), train.class_to_idx[row[1]]) for row in rows]
    return read_files(train.samples), read_files(test)"""
    return [read_files, read_data]


def _own(data: DataPlan, own: OwnData, used: Definitions) -> list[str]:
    """`read_data` by the user's function, which gives arrays or Datasets."""
    arguments = dict(data.source.arguments)
    module, _, function = str(arguments.pop("function")).partition(":")
    name = own_name(module, function)
    used.own.add(import_line(name, (module, function)))
    more = f", {options(arguments)}" if arguments else ""
    found = f'({name}(split{more}) for split in ("train", "test"))'
    if own.sample is not None:
        read_data = f"{_OPENING}\n    return tuple(map(read_split, {found}))"
        return [*_dataset(data, own, used), read_data]
    return [
        f"""{_OPENING}
    return tuple(
        Split({own.image}, {own.label})
        for image, label in {found}
    )"""
    ]


def _dataset(data: DataPlan, own: OwnData, used: Definitions) -> list[str]:
    """`sample_of` and `read_split`, for Datasets."""
    used.imports.add("from typing import Any")
    if "pixels(" in own.image:
        used.add(image_files.pixels)
    partly = data.known_facts.train_labeled is not None
    label = "-1 if label is None else int(label)" if partly else "int(label)"
    sample_of = block(
        "def sample_of(dataset: Any, index: int) -> tuple[Tensor, int]:",
        '    """The image (C, H, W) of a sample of a Dataset, and the number of its class."""',
        [f"    {line}" for line in (own.sample or "").split("\n")],
        f"    return {resized(own.image, data, used)}, {label}",
    )
    if drawn(data, own) is None:
        return [sample_of, _READ_SPLIT]
    image = "lambda index: sample_of(dataset, index)[0]"
    read_split = f'''def read_split(dataset: Any) -> Split:
    """All samples of a Dataset, whose images are drawn anew whenever they are read."""
    label = torch.tensor([sample_of(dataset, index)[1] for index in range(len(dataset))])
    return Split({drawn_images(image, "len(label)", data, used)}, label)'''
    return [sample_of, read_split]


_READ_SPLIT = '''def read_split(dataset: Any) -> Split:
    """All samples of a Dataset."""
    images, labels = zip(*(sample_of(dataset, index) for index in range(len(dataset))))
    return Split(torch.stack(images), torch.tensor(labels))'''
