"""Saves and loads the weights of a network; weights that do not fit give a diagnostic."""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from ktgdsl.backend.state_dicts import (
    named_state_dicts,
    not_numbers,
    safe_beside_weights,
    state_dict_in,
    unwrapped,
    with_counters,
)
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import warn
from ktgdsl.files import sha256 as digest
from ktgdsl.files import write_atomic

_NAMES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pth.tar", ".tar")
"""Extensions of files of weights."""

MEAN, STD = "mean", "std"
"""Fields of the header: the normalisation of the images, where white is 1, as JSON lists."""

_DIGEST, _ZEROS = "ktgdsl_sha256", "0" * 64
"""The field of the header with the file's digest, and its value while that is computed."""

_SHOWN = 3
"""How many of the tensors that do not fit a message names."""


def save_weights(module: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the parameters and buffers to a safetensors file: all of it, or nothing.

    `metadata` goes into the header of the file, and so does the SHA-256 of the whole file, computed
    with zeros in its place.

    Raises:
        OSError: when the file cannot be written.
    """
    # A clone each, since safetensors takes no two tensors that share memory.
    content = {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in module.state_dict().items()
    }
    stored = _in_order(safetensors.torch.save(content, {**(metadata or {}), _DIGEST: _ZEROS}))
    write_atomic(path, stored.replace(_ZEROS.encode(), digest(stored).encode(), 1))


def _in_order(stored: bytes) -> bytes:
    """A safetensors file with its metadata in alphabetical order; the library's is a random one.

    The file is the length of its header in 8 bytes, the header as JSON, and the tensors.
    """
    start = 8 + int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + stored[start:]


def _is_intact(stored: bytes) -> bool | None:
    """Whether a safetensors file is as `save_weights` wrote it; None where that cannot be told."""
    header = 8 + int.from_bytes(stored[:8], "little")
    found = re.compile(rb'"%b":"([0-9a-f]{64})"' % _DIGEST.encode()).search(stored, 8, header)
    if found is None:
        return None
    blank = stored[: found.start(1)] + _ZEROS.encode() + stored[found.end(1) :]
    return digest(blank) == found[1].decode()


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata in the header of a safetensors file that can be read."""
    with safetensors.safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def normalization_of(path: Path) -> tuple[list[float], list[float]] | None:
    """The mean and deviation by which a network saved by a run had its images normalised.

    Each has a number for a channel, or one for all: 0 and 1 where images are in [0, 1]. None of
    other files.
    """
    if path.suffix != ".safetensors":
        return None
    metadata = metadata_of(path)
    if not metadata.keys() >= {MEAN, STD}:
        return None
    try:
        mean, std = json.loads(metadata[MEAN]), json.loads(metadata[STD])
        return [float(each) for each in mean], [float(each) for each in std]
    except (TypeError, ValueError):  # somebody else's metadata of these names
        return None


def is_intact_file(path: Path) -> bool:
    """Whether a file is what `save_weights` wrote there."""
    try:
        return _is_intact(path.read_bytes()) is True
    except Exception:  # the reader raises almost anything on a damaged header
        return False


def load_weights(
    module: nn.Module, path: Path, sha256: str | None = None, *, sealed: bool = False
) -> Diagnostic | None:
    """Load a file of weights into a network; on a diagnostic (E406) the network is as it was.

    A file with another SHA-256 than `sha256` has changed, and one that `save_weights` wrote is
    damaged where its digest is not that of its content: neither is loaded. With `sealed` it has
    to have that digest.

    The file is a `.safetensors`, or a checkpoint of torch with the state dict somewhere in it
    (`state_dict_in`), also of a network in a wrapper (`unwrapped`). It has to have exactly the
    tensors of the network, in their shapes; dtypes are converted. NaN is refused.
    """
    try:
        stored = path.read_bytes()
        if sha256 not in (None, digest(stored)):
            return _unusable(
                path,
                f"the weights in {path} are not those of the plan: the file changed",
                "put the file back from a copy, or start anew from the spec",
            )
        content, named = _read(path, stored)
        intact = _is_intact(stored) if path.suffix == ".safetensors" else None
        if intact is False or (sealed and intact is None):
            return _unusable(
                path,
                f"the weights in {path} are damaged: they are not what was written there",
                "put the file back from a copy, or train them again",
            )
    except FileNotFoundError:
        return _unusable(path, f"there is no file of weights {path}", "check the path")
    except OSError as error:
        return _unusable(path, f"the weights in {path} cannot be read: {error.strerror or error}")
    except Exception as error:  # the readers raise almost anything on a file that is not theirs
        return _unusable(
            path,
            f"{path} is not a file of weights that can be read safely",
            f"{_foreign(error)}save the weights with safetensors, or with "
            "`torch.save(network.state_dict(), path)`",
        )
    if isinstance(content, str):
        return _unusable(path, content, f"a file of weights is named {', '.join(_NAMES)}")
    wanted = module.state_dict()
    try:
        loaded = with_counters(unwrapped(content, wanted), wanted)
    except ValueError as prefixes:
        message = f"{path} holds several networks that would fit, under {prefixes}"
        return _unusable(path, message, "save the weights of one alone")
    differences = _differences(loaded, wanted)
    if differences:
        shown = "; ".join(differences[:_SHOWN])
        more = len(differences) - _SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        return _unusable(
            path,
            f"the weights in {path} do not fit the network: {shown}{rest}",
            "use the network, the number of classes and the image channels they were saved with",
        )
    wrong = not_numbers(loaded, (name for name, _ in module.named_parameters()))
    if wrong is not None:
        message = f"the weights in {path} are not numbers: {wrong}"
        return _unusable(path, message, "their training diverged: take those of an earlier epoch")
    _warn_of_others(path, content, named, wanted)
    module.load_state_dict(loaded)
    return None


def _foreign(error: Exception) -> str:
    """The beginning of a help line: what a pickle holds beside weights, as far as torch says."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return f"it holds {found[1]} beside weights: " if found else ""


_Tensors = Mapping[str, Tensor]


def _read(path: Path, stored: bytes) -> tuple[_Tensors | str, dict[str, _Tensors]]:
    """The tensors by name in the content of a file, or why it holds none.

    And, of a checkpoint, all state dicts by their names in it.
    """
    name = path.name.lower()
    if name.endswith(".safetensors"):
        return safetensors.torch.load(stored), {}
    if not name.endswith(_NAMES):
        return f"{path} is not a file of weights by its name", {}
    with torch.serialization.safe_globals(safe_beside_weights()):
        content = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
    found = state_dict_in(content)
    missing = f"{path} holds no state dict: names and their tensors"
    return (missing if found is None else found), named_state_dicts(content)


def _warn_of_others(
    path: Path, taken: _Tensors, named: Mapping[str, _Tensors], wanted: _Tensors
) -> None:
    """Say which weights were taken where a checkpoint has others that fit the network as well."""
    others = [
        f"`{name}`" for name, each in named.items() if each is not taken and _fits(each, wanted)
    ]
    if others:
        own = next(name for name, each in named.items() if each is taken)
        message = f"of the weights in {path} those of `{own}` are taken, not {' or '.join(others)}"
        warn("W309", message, help="save those that you mean as a file of their own", path=path)


def _fits(given: _Tensors, wanted: _Tensors) -> bool:
    try:
        return not _differences(with_counters(unwrapped(given, wanted), wanted), wanted)
    except ValueError:  # several networks in one state dict
        return False


def _differences(loaded: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """The tensors that do not fit, in the order of the network, then unexpected ones."""
    found = []
    for name, tensor in wanted.items():
        if name not in loaded:
            found.append(f"{name}: not in the file")
        elif loaded[name].shape != tensor.shape:
            found.append(
                f"{name}: file has {tuple(loaded[name].shape)}, network needs {tuple(tensor.shape)}"
            )
    found += [f"{name}: not in the network" for name in loaded if name not in wanted]
    return found


def _unusable(path: Path, message: str, help: str | None = None) -> Diagnostic:
    return Diagnostic("E406", message, help=help, path=str(path))
