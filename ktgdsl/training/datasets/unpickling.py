"""Reads pickled arrays, as CIFAR's files are, without running what a pickle says to run."""

import pickle
from pathlib import Path
from typing import Any

_ARRAYS = {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
    )
} | {("numpy", "ndarray"), ("numpy", "dtype")}
"""The globals that a pickle of an array names. They can only make arrays and their types."""


def load_pickled_arrays(path: Path) -> Any:
    """The content of a pickle: arrays, dicts, lists, strings, bytes and numbers.

    Strings of Python 2 are read as Latin-1, as torchvision reads them.

    Raises pickle.UnpicklingError where it names anything else, and what `pickle` raises.
    """
    with path.open("rb") as file:
        return _DataUnpickler(file, encoding="latin1").load()


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A global that a pickle names, if it only makes data."""
        if (module, name) in _ARRAYS:
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return _latin1_bytes  # how Python 3 writes bytes for Python 2
        raise pickle.UnpicklingError(
            f"it is more than data: it wants to call {module}.{name}, which was not done"
        )


def _latin1_bytes(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")
