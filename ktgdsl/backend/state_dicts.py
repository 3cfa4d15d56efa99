"""Finds state dicts in checkpoints of other programs, and removes the prefixes of wrappers."""

import codecs
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

_USUAL = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "module")
"""Usual keys of the network's state dict in a checkpoint, the most specific first."""

_COUNTER = "num_batches_tracked"
"""A buffer of batch norm that old files lack: it only says how long it learned."""


def safe_beside_weights() -> list[Any]:
    """Harmless types in checkpoints besides tensors: namespaces of arguments, NumPy numbers.

    For `torch.serialization.safe_globals`.
    """
    numbers = [type(np.dtype(character)) for character in "?bBhHiIlLqQefd"]
    made_by = {"scalar": np.float64(0), "_reconstruct": np.zeros(1)}
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    functions = [
        (each.__reduce__()[0], f"{module}.{name}")
        for name, each in made_by.items()
        for module in modules
    ]
    return [Namespace, np.dtype, np.ndarray, *numbers, codecs.encode, *functions]


def state_dict_in(content: object) -> Mapping[str, Tensor] | None:
    """The state dict in the content of a file: the content itself, or an item with a usual name.

    Without a usual name, the only item that is a state dict; None if there is no such item.
    """
    if _is_state_dict(content):
        return content  # type: ignore[return-value]  # as was just seen
    if not isinstance(content, Mapping):
        return None
    for name in _USUAL:
        if isinstance(content.get(name), Mapping):
            return state_dict_in(content[name])
    found = [each for each in content.values() if _is_state_dict(each)]
    return found[0] if len(found) == 1 else None


def named_state_dicts(content: object) -> dict[str, Mapping[str, Tensor]]:
    """All state dicts in a checkpoint, by the names that it has for them."""
    if _is_state_dict(content) or not isinstance(content, Mapping):
        return {}
    found = {str(name): state_dict_in(each) for name, each in content.items()}
    return {name: each for name, each in found.items() if each is not None}


def unwrapped(loaded: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a state dict under the names of the network that it is for.

    Wrappers put a prefix before names: `module.` of DataParallel, `_orig_mod.` of torch.compile,
    `model.` of many others. What a wrapper has beside the network is left out. Raises ValueError,
    with the prefixes, where several would do.
    """
    counts = Counter(each for name in loaded for each in _prefixes(name, wanted))
    most = max(counts.values(), default=0)
    prefixes = [prefix for prefix, count in counts.items() if count == most]
    if "" in prefixes or not prefixes:
        prefixes = [""]
    if len(prefixes) > 1:
        raise ValueError(" and ".join(f"`{prefix}`" for prefix in prefixes))
    (prefix,) = prefixes
    inside = (name for name in loaded if name.startswith(prefix))
    return {name.removeprefix(prefix): loaded[name] for name in inside}


def with_counters(loaded: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, with batch counters of batch norm taken from the network if they are missing."""
    own = {name: each for name, each in wanted.items() if name.rpartition(".")[2] == _COUNTER}
    return {**own, **loaded}


def not_numbers(loaded: Mapping[str, Tensor], parameters: Iterator[str]) -> str | None:
    """The first tensor with NaN, or parameter that is infinite, in words.

    A buffer may be infinite: masks are.
    """
    learned = set(parameters)
    for name, tensor in loaded.items():
        if tensor.isnan().any():
            return f"NaN in {name}"
        if name in learned and tensor.isinf().any():
            return f"infinity in {name}"
    return None


def _is_state_dict(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(n, str) and isinstance(t, Tensor) for n, t in content.items())
    )


def _prefixes(name: str, wanted: Mapping[str, Tensor]) -> Iterator[str]:
    """The possible prefixes of a name before one that the network has."""
    starts = [0, *(at + 1 for at, character in enumerate(name) if character == ".")]
    return (name[:start] for start in starts if name[start:] in wanted)
