"""CIFAR, MNIST, Fashion-MNIST and SVHN, downloaded and read by torchvision's classes.

torchvision compares checksums. That is right for a download and stays so there, but a copy
below a `root` may be recompressed or cut down on purpose: here only its structure is checked,
and in `read` its counts and labels, as of all data sets.
"""

import gzip
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ktgdsl.backend.user_code import describe
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_set import DataSet, ImageSet
from ktgdsl.training.datasets.locations import damaged_file, data_root, missing_files

DEBIAN = "/usr/share/datasets/fashion-mnist"


def cifar(data: DataPlan) -> DataSet:
    """CIFAR-10 or CIFAR-100: the "python version", in its folder below the root or in the root."""
    sets = _torchvision()
    kind = sets.CIFAR100 if data.source.name == "cifar100" else sets.CIFAR10
    root, how = data_root(data), f"download {kind.url} and unpack it"
    lists = {"train_list": kind.train_list, "test_list": kind.test_list}
    names = [name for files in lists.values() for name, _ in files]
    names.append(str(kind.meta["filename"]))

    def folder() -> Path:
        inner = root / kind.base_folder
        return root if not inner.is_dir() and (root / names[0]).exists() else inner

    def missing() -> list[str]:
        return [f"{kind.base_folder}/{name}" for name in names if not (folder() / name).is_file()]

    _ensure_files(data, missing, lambda: [kind(str(root), download=True)], how)

    def part(files: list[list[str]], *, train: bool) -> ImageSet:
        read = []
        for name, _ in files:
            # One file at a time, so that a damaged one can be named.
            alone = {
                "base_folder": folder().name,
                "train_list": [[name, None]],
                "test_list": [[name, None]],
                "meta": {**kind.meta, "md5": None},
                "_check_integrity": lambda self: True,
            }
            reader: Any = type(kind.__name__, (kind,), alone)
            try:
                data_of_file = reader(str(folder().parent), train=train)
                read.append((_tensor(data_of_file.data), torch.tensor(data_of_file.targets)))
            except Exception as error:  # of pickle, NumPy or torchvision
                raise damaged_file(data, folder() / name, describe(error), how) from error
        image, label = (torch.cat(each) for each in zip(*read, strict=True))
        return ImageSet(image.permute(0, 3, 1, 2).contiguous(), label)

    return DataSet(part(kind.train_list, train=True), part(kind.test_list, train=False))


def mnist(data: DataPlan) -> DataSet:
    """MNIST or Fashion-MNIST: the four idx files, compressed by gzip or not.

    They lie in the root, as Debian's package `dataset-fashion-mnist` has them, or in `MNIST/raw`
    or `FashionMNIST/raw` below it, where torchvision puts them.
    """
    sets = _torchvision()
    fashion = data.source.name == "fashion_mnist"
    kind = sets.FashionMNIST if fashion else sets.MNIST
    root = data_root(data)
    how = f"download the four files of {kind.mirrors[0]}"
    if fashion:
        how += f" (Debian's package dataset-fashion-mnist has them in {DEBIAN})"
    names = [name.removesuffix(".gz") for name, _ in kind.resources]

    def path(name: str) -> Path | None:
        folders = (root / kind.__name__ / "raw", root)
        candidates = (folder / each for folder in folders for each in (name, f"{name}.gz"))
        return next((each for each in candidates if each.is_file()), None)

    _ensure_files(
        data,
        lambda: [name for name in names if path(name) is None],
        lambda: [kind(str(root), download=True)],
        how,
    )

    def content(name: str, read: Callable[[str], Tensor]) -> Tensor:
        file = path(name)
        assert file is not None
        try:
            return _read_idx(file, read)
        except Exception as error:  # of gzip, NumPy or torchvision
            raise damaged_file(data, file, describe(error), how) from error

    def part(name: str) -> ImageSet:
        image = content(f"{name}-images-idx3-ubyte", sets.mnist.read_image_file)
        label = content(f"{name}-labels-idx1-ubyte", sets.mnist.read_label_file)
        return ImageSet(image[:, None], label)

    return DataSet(part("train"), part("t10k"))


def _read_idx(file: Path, read: Callable[[str], Tensor]) -> Tensor:
    """The tensor of an idx file. Raises ValueError when it is not as long as its header says."""
    plain = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    axes = plain[3]
    shape = [int.from_bytes(plain[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    if plain[:3] != b"\0\0\x08" or len(plain) != 4 + 4 * axes + int(np.prod(shape)):
        raise ValueError(f"{len(plain):,} bytes are not an idx file of bytes of shape {shape}")
    if file.suffix != ".gz":
        return read(str(file))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.stem
        copy.write_bytes(plain)
        return read(str(copy))


def svhn(data: DataPlan) -> DataSet:
    """SVHN's cropped digits: `train_32x32.mat` and `test_32x32.mat` in the root. Needs scipy."""
    if find_spec("scipy") is None:
        message = "the data set `svhn` is in MATLAB's format, which needs the package scipy"
        raise data_error(message, "`pip install scipy`")
    kind = _torchvision().SVHN
    root = data_root(data)
    files = {split: kind.split_list[split][1] for split in ("train", "test")}
    urls = " and ".join(kind.split_list[split][0] for split in files)
    how = f"download {urls}"
    _ensure_files(
        data,
        lambda: [name for name in files.values() if not (root / name).is_file()],
        lambda: [kind(str(root), split=split, download=True) for split in files],
        how,
    )
    reader: Any = type("SVHN", (kind,), {"_check_integrity": lambda self: True})

    def part(split: str) -> ImageSet:
        try:
            content = reader(str(root), split=split)
            labels = torch.from_numpy(np.atleast_1d(content.labels))
            return ImageSet(_tensor(content.data), labels)
        except Exception as error:  # of scipy, NumPy or torchvision
            raise damaged_file(data, root / files[split], describe(error), how) from error

    return DataSet(part("train"), part("test"))


def _torchvision() -> Any:
    """torchvision's data sets, which have no types and are slow to import."""
    return import_module("torchvision.datasets")


def _ensure_files(
    data: DataPlan, missing: Callable[[], list[str]], download: Callable[[], object], how: str
) -> None:
    """Raise RunError (E508) unless all files exist, after a download if the plan names no root."""
    if not missing():
        return
    why = ""
    if data.root is None:
        try:
            data_root(data).mkdir(parents=True, exist_ok=True)
            download()
        except Exception as error:  # of the network, the disk or torchvision
            why = f", and the download failed ({describe(error)})"
    if still := missing():
        raise missing_files(data, still, how, why)


def _tensor(array: Any) -> Tensor:
    if array.dtype != np.uint8:
        raise TypeError(f"its pixels are {array.dtype}, not uint8")
    return torch.from_numpy(np.ascontiguousarray(array))
