"""Small data sets in the published file formats, to test the loaders."""

import gzip
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, np.dtype[Any]]


def images(count: int, channels: int, size: int, seed: int) -> Array:
    """Random images (count, channels, size, size) uint8."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, channels, size, size), dtype=np.uint8)


def cifar10(folder: Path) -> tuple[Array, Array]:
    """Five batches of four to train and one of eight to test; returns the images of both."""
    inner = folder / "cifar-10-batches-py"
    inner.mkdir(parents=True)
    train, test = images(20, 3, 32, 0), images(8, 3, 32, 1)
    for i in range(5):
        _cifar(inner / f"data_batch_{i + 1}", train[4 * i : 4 * i + 4], b"labels", range(4))
    _cifar(inner / "test_batch", test, b"labels", range(8))
    (inner / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}))
    return train, test


def cifar100(folder: Path) -> tuple[Array, Array]:
    """Twenty to train and eight to test, of which the fine labels count."""
    inner = folder / "cifar-100-python"
    inner.mkdir(parents=True)
    train, test = images(20, 3, 32, 2), images(8, 3, 32, 3)
    _cifar(inner / "train", train, b"fine_labels", range(80, 100))
    _cifar(inner / "test", test, b"fine_labels", range(8))
    (inner / "meta").write_bytes(pickle.dumps({"fine_label_names": [str(i) for i in range(100)]}))
    return train, test


def _cifar(path: Path, image: Array, key: bytes, labels: Sequence[int]) -> None:
    entry = {b"data": image.reshape(len(image), -1), key: list(labels), b"coarse_labels": [0]}
    path.write_bytes(pickle.dumps({name.decode(): value for name, value in entry.items()}))


def idx(folder: Path, *, packed: bool) -> tuple[Array, Array]:
    """The four files of MNIST and Fashion-MNIST: twenty to train, ten to test."""
    folder.mkdir(parents=True)
    train, test = images(20, 1, 28, 4), images(10, 1, 28, 5)
    for name, image in (("train", train), ("t10k", test)):
        label = np.arange(len(image), dtype=np.uint8) % 10
        for kind, content in (("images-idx3", image[:, 0]), ("labels-idx1", label)):
            header = bytes([0, 0, 8, content.ndim])
            header += b"".join(n.to_bytes(4, "big") for n in content.shape)
            plain = header + content.tobytes()
            path = folder / f"{name}-{kind}-ubyte"
            if packed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(plain))
            else:
                path.write_bytes(plain)
    return train, test


def tiny_imagenet(folder: Path) -> list[str]:
    """Two classes with six images each to train and four in all to test, one of them grey."""
    inner = folder / "tiny-imagenet-200"
    classes = ["n02000002", "n01000001"]
    for number, name in enumerate(classes):
        (inner / "train" / name / "images").mkdir(parents=True)
        for i in range(6):
            path = inner / "train" / name / "images" / f"{name}_{i}.JPEG"
            Image.new("RGB", (64, 64), (200 * number, 100, 10 * i)).save(path, quality=100)
    (inner / "val" / "images").mkdir(parents=True)
    lines = []
    for i in range(4):
        mode, colour = ("L", 128) if i == 3 else ("RGB", (0, 0, 60 * i))
        Image.new(mode, (64, 64), colour).save(inner / "val" / "images" / f"val_{i}.JPEG")
        lines.append(f"val_{i}.JPEG\t{classes[i % 2]}\t0\t32\t44\t62\n")
    (inner / "val" / "val_annotations.txt").write_text("".join(lines))
    (inner / "wnids.txt").write_text("\n".join(classes) + "\n")
    return classes


def folder(path: Path, size: tuple[int, int] = (10, 9), mode: str = "RGB") -> None:
    """`folder(...)`: three classes, with 4 + i images to train and two to test."""
    for number, name in enumerate(("ant", "bee", "cat")):
        for split, count in (("train", 4 + number), ("test", 2)):
            (path / split / name).mkdir(parents=True)
            for i in range(count):
                shade = 50 * number + 5 * i + (split == "test")
                colour = shade if mode == "L" else (shade, 0, 255)
                Image.new(mode, size, colour).save(path / split / name / f"{i}.png")
