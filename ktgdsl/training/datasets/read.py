"""The data set that a plan names, read and held against what is known of it."""

from collections.abc import Callable, Mapping

from torch import Tensor

from ktgdsl.plan.model import DataPlan, Facts, Plan
from ktgdsl.training import digits
from ktgdsl.training.datasets.folders import folder
from ktgdsl.training.datasets.known import cifar, mnist, svhn
from ktgdsl.training.datasets.own import own
from ktgdsl.training.datasets.places import root_of
from ktgdsl.training.datasets.problem import unusable
from ktgdsl.training.datasets.stored import Parts, Stored
from ktgdsl.training.datasets.tiny_imagenet import tiny_imagenet


def _digits(_: DataPlan) -> Parts:
    image, label = digits.read()
    n = digits.TRAIN_SAMPLES
    train = Stored(image[:n], label[:n], digits.WHITE)
    return Parts(train, Stored(image[n:], label[n:], digits.WHITE))


READERS: Mapping[str, Callable[[DataPlan], Parts]] = {
    "digits": _digits,
    "mnist": mnist,
    "fashion_mnist": mnist,
    "cifar10": cifar,
    "cifar100": cifar,
    "svhn": svhn,
    "tiny_imagenet": tiny_imagenet,
    "folder": folder,
    "python": own,
}
"""By the word of the language."""


def read(data: DataPlan) -> tuple[Parts, DataPlan]:
    """The data set in its own two parts, and the plan with its facts.

    Images that are files are found, and not read yet.

    Raises:
        RunError: when it is missing, damaged, or not what the plan says (E508).
    """
    parts = READERS[data.source.name](data)
    if data.source.name == "digits":
        return parts, data
    facts = data.facts
    if facts is None:
        facts = _facts(parts, data)
        data = data.model_copy(update={"facts": facts})
        _require_share(data, data.train_samples, facts.train_samples + 1, "samples")
        _require_share(data, data.held_samples, data.train_samples, "validation")
        _require_share(data, data.labeled_samples, data.train_samples, "labeled")
    _require_whole(parts, data, facts)
    return parts, data


def complete(plan: Plan) -> Plan:
    """The plan with the facts of its data, which are looked up where it has none.

    Only the user's own data, `folder` and `python`, are not known before they are there.

    Raises:
        RunError: as `read` does.
    """
    if plan.data.facts is not None:
        return plan
    # Not a copy: that would keep the digest of the plan without facts.
    return Plan.model_construct(**{**dict(plan), "data": read(plan.data)[1]})


def _facts(parts: Parts, data: DataPlan) -> Facts:
    """What the user's own data are like."""
    present = 1 + max(int(part.label.max()) for part in (parts.train, parts.test))
    if present < 1:
        message = f"the data {data.source} have no labels that say how many classes there are"
        raise unusable(message, "say it: `classes = 10` in the block `data`")
    said = data.classes_expected
    if said is not None and data.source.name == "folder" and said != present:
        message = f"the data {data.source} have {present} classes, not {said}"
        raise unusable(message, "leave `classes` out")
    return Facts(
        classes=said or max(2, present),
        shape=parts.train.shape,
        train_samples=len(parts.train),
        test_samples=len(parts.test),
    )


def _require_share(data: DataPlan, count: int | None, below: int, name: str) -> None:
    if count is not None and not 0 < count < below:
        message = (
            f"`{name}` takes {count} of the training samples of {data.source}, "
            f"and can take from 1 to {below - 1}"
        )
        raise unusable(message)


def _require_whole(parts: Parts, data: DataPlan, facts: Facts) -> None:
    """Counts, shapes and labels are as they should be."""
    where = f"the data set {data.source}"
    if data.source.name not in ("folder", "python"):
        where += f" in {root_of(data)}"
    counts = {"train": facts.train_samples, "test": facts.test_samples}
    for split, part in (("train", parts.train), ("test", parts.test)):
        images, labels = len(part.image), len(part.label)
        if images != counts[split] or labels != counts[split]:
            message = (
                f"{where} is not whole: {split} has {images:,} images and {labels:,} labels "
                f"of {counts[split]:,}"
            )
            raise unusable(message, "get it anew, and replace what is there")
        if part.shape != facts.shape:
            shapes = ("x".join(map(str, shape)) for shape in (part.shape, facts.shape))
            found, wanted = shapes
            message = f"{where}: the images of {split} are {found}, not {wanted}"
            raise unusable(message)
        if wrong := _out_of_range(part.label, facts.classes):
            message = (
                f"{where} has the label {wrong[0]} in {split}, and labels of {facts.classes} "
                f"classes are 0 to {facts.classes - 1}, or -1 for none"
            )
            raise unusable(message)


def _out_of_range(label: Tensor, classes: int) -> list[int]:
    found: list[int] = label[(label < -1) | (label >= classes)][:1].tolist()
    return found
