"""Whether the files of a known data set are the published ones, by their MD5 checksums."""

import hashlib
from pathlib import Path

from ktgdsl.errors import warn
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.locations import damaged_file

UNPACKED = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}
"""MD5 of the unpacked idx files, as each mirror compresses them in another way; for the other
data sets torchvision has checksums."""


def check_published(data: DataPlan, path: Path, md5: str, published: str, how: str) -> None:
    """Refuse a file of ours that is not the published one, and warn of one of the user's.

    What lies where downloads go is either whole or damaged (E508). A `root` may hold a data set
    of the user's own in the same format, with other labels, say (W303).

    Args:
        data: of the plan.
        path: the file.
        md5: the checksum of its content.
        published: what that is of the published file.
        how: an imperative that says how to get it.
    """
    if md5 == published:
        return
    if data.root is None:
        raise damaged_file(data, path, "it is not the published file", how)
    warn(
        "W303",
        f"{path} is not the published file of `{data.source.name}`: its checksum differs",
        help=f"unless it is meant to, {how} again, and replace the file",
        path=path,
    )


def md5_of_file(path: Path) -> str:
    """The MD5 checksum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_bytes(*parts: bytes) -> str:
    """The MD5 checksum of parts of a content, one after the other."""
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
