"""What the user's function for data gives, and how a script reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ktgdsl.backend.user_code import call_user_function
from ktgdsl.plan.model import DataPlan
from ktgdsl.standalone.text import literal
from ktgdsl.training.datasets.random_states import preserved
from ktgdsl.training.datasets.samples import IMAGE_KEYS, LABEL_KEYS, as_tensor, parts_of
from ktgdsl.training.datasets.user_images import PROBES, UserImages


@dataclass(frozen=True)
class OwnData:
    """How a script reads what the user's function gives.

    Attributes:
        image: an expression for `image` as a tensor: of all images (N, C, H, W) where these are
            arrays, and else of one (C, H, W).
        sample: of a Dataset, statements that take `image` and `label` out of `dataset[index]`.
        floats: whether pixels are floating-point numbers, and stay as they are.
        random: whether a sample differs from one reading to the next.
        label: of arrays, an expression for `label` as a tensor.
        problem: why no script can read it, the end of a sentence.
    """

    image: str = ""
    sample: str | None = None
    floats: bool = False
    random: bool = False
    label: str = "torch.as_tensor(label).long()"
    problem: str | None = None


def own_data(data: DataPlan) -> OwnData | None:
    """What the function gives for both splits; of Datasets by some of their samples.

    None where data are not the user's.
    """
    if data.source.name != "python":
        return None
    arguments = dict(data.source.arguments)
    function = str(arguments.pop("function"))
    found = [
        _read(call_user_function(function, data.root, split, **arguments), data)
        for split in ("train", "test")
    ]
    if found[0] == found[1]:
        return found[0]
    problem = found[0].problem or found[1].problem
    return OwnData(problem=problem or "gives samples of another form to test on than to train on")


def _read(result: Any, data: DataPlan) -> OwnData:
    masks = data.known_facts.masks
    if isinstance(result, tuple):
        image = as_tensor(result[0])
        if masks and np.shape(result[1]) != (len(image), *image.shape[2:]):
            return OwnData(problem="gives masks of another shape than (samples, height, width)")
        text = _pixels("torch.as_tensor(image)", image.dtype)
        if data.labels:
            label = "torch.stack([torch.as_tensor(label[each]).long() for each in LABELS], dim=1)"
            return OwnData(text, floats=image.is_floating_point(), label=label)
        return OwnData(text, floats=image.is_floating_point())
    if masks or data.labels:
        several = "masks" if masks else "several labels a sample"
        return OwnData(problem=f"gives {several} by a Dataset, and a script reads them from arrays")
    images = UserImages(result, str(data.source), any_size=data.resize is not None)
    with preserved():
        samples = [result[i] for i in range(0, len(result), max(1, len(result) // PROBES))]
    if any(parts_of(each)[1] is None for each in samples):
        return OwnData(problem="gives samples without a label")
    forms = {(_image(parts_of(each)[0], images.shape[0]), _sample(each)) for each in samples}
    if len(forms) > 1:
        return OwnData(problem="gives samples of several forms")
    return OwnData(*forms.pop(), floats=images.dtype.is_floating_point, random=images.random)


def _sample(sample: Any) -> str:
    """The statements that take image and label out of a sample that has both."""
    if isinstance(sample, Mapping):
        keys = [next(key for key in names if key in sample) for names in (IMAGE_KEYS, LABEL_KEYS)]
        found = ", ".join(f"sample[{literal(key)}]" for key in keys)
        return f"sample = dataset[index]\nimage, label = {found}"
    image, _ = parts_of(sample)
    start = next(i for i, each in enumerate(sample) if each is image)
    chosen = "" if len(sample) == 2 else f"[{start}:{start + 2}]"
    return f"image, label = dataset[index]{chosen}"


def _image(image: Any, channels: int) -> str:
    """An expression for the image of a sample as a tensor (C, H, W)."""
    if isinstance(image, Image.Image):
        return f"pixels(image, {channels})"
    tensor = as_tensor(image)
    text = "image" if isinstance(image, Tensor) else "torch.from_numpy(image.copy())"
    if tensor.ndim == 2:
        text += "[None]"
    elif isinstance(image, np.ndarray) and image.shape[2] == channels:
        text += ".permute(2, 0, 1).contiguous()"
    return _pixels(text, tensor.dtype)


def _pixels(text: str, kind: torch.dtype) -> str:
    """An expression for pixels in the type in which a run has them."""
    if kind == torch.bool:
        return f"{text}.byte() * 255"
    return text if kind in (torch.uint8, torch.float32) else f"{text}.float()"
