"""Reads the data set that a plan names, and checks it against the facts that are known."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import Tensor

from ktgdsl.errors import warn
from ktgdsl.plan.model import DataPlan, Facts, Plan
from ktgdsl.training import digits
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_folder import image_folder
from ktgdsl.training.datasets.image_set import DataSet, ImageSet
from ktgdsl.training.datasets.label_columns import by_label, combinations, known_classes
from ktgdsl.training.datasets.locations import data_root
from ktgdsl.training.datasets.mask_folder import mask_folder
from ktgdsl.training.datasets.mask_paths import has_masks
from ktgdsl.training.datasets.masks import UNLABELED
from ktgdsl.training.datasets.python_function import python_function
from ktgdsl.training.datasets.resizing import Resizing, resized
from ktgdsl.training.datasets.tiny_imagenet import tiny_imagenet
from ktgdsl.training.datasets.torchvision_sets import cifar, mnist, svhn


def _digits(_: DataPlan) -> DataSet:
    image, label = digits.read()
    n = digits.TRAIN_SAMPLES
    train = ImageSet(image[:n], label[:n], digits.WHITE)
    test = ImageSet(image[n:], label[n:], digits.WHITE)
    return DataSet(train, test, tuple("0123456789"))


READERS: Mapping[str, Callable[[DataPlan], DataSet]] = {
    "digits": _digits,
    "mnist": mnist,
    "fashion_mnist": mnist,
    "cifar10": cifar,
    "cifar100": cifar,
    "svhn": svhn,
    "tiny_imagenet": tiny_imagenet,
    "folder": lambda data: mask_folder(data) if has_masks(data) else image_folder(data),
    "python": python_function,
}
"""The function that reads a data set, by its word in the vocabulary."""


def read(data: DataPlan) -> tuple[DataSet, DataPlan]:
    """The data set, and the data plan with its facts.

    Of images that are files only the paths are looked up; they are read when they are needed.

    Raises:
        RunError: when it is missing, damaged, or not what the plan says (E508).
    """
    data_set = READERS[data.source.name](data)
    facts = data.facts
    own, embedded = data.source.name in ("folder", "python"), data.source.name == "digits"
    if not own and not embedded and facts is not None:
        _require_consistent(data_set, data, facts)
    if data.resize is not None:
        data_set = resized(data_set, Resizing(data.resize, data.crop))
    if facts is None:
        facts = _facts(data_set, data)
        data = data.model_copy(update={"facts": facts})
        _require_count(data, data.train_samples, facts.train_samples + 1, "samples")
        _require_count(data, data.held_out_samples, data.labeled_train_samples, "validation")
        _require_count(data, data.labeled_samples, data.train_samples, "labeled")
        if (problem := data.labeled_batch_problem) is not None:
            raise data_error(problem)
    if own:
        _require_consistent(data_set, data, facts)
    return replace(data_set, classes=known_classes(data_set, data)), data


def complete(plan: Plan) -> Plan:
    """The plan with the facts of its data: classes, image shape, number of samples.

    Only the user's own data, `folder` and `python`, are read for it; the facts of all others are
    part of every plan.

    Raises:
        RunError: when the data are missing, damaged, or not what the plan says (E508).
    """
    if plan.data.facts is not None:
        return plan
    return with_data(plan, read(plan.data)[1])


def with_data(plan: Plan, data: DataPlan) -> Plan:
    """The plan with this data plan, which measures `miou` if each pixel has a label."""
    if plan.data == data:
        return plan
    train, facts = plan.train, data.facts
    if facts is not None and facts.masks and "miou" not in train.metrics:
        train = train.model_copy(update={"metrics": (*train.metrics, "miou")})
    # Not a copy: that would keep the digest of the plan without facts.
    return Plan.model_construct(**{**dict(plan), "data": data, "train": train})


def _facts(data_set: DataSet, data: DataPlan) -> Facts:
    """The facts of the user's own data."""
    _require_equal_kinds(data_set, data)
    counts = tuple(_classes(each, data, name) for name, each in by_label(data_set, data.labels))
    labeled = int((combinations(data_set.train.label) >= 0).sum())
    return Facts(
        classes=max(counts),
        shape=data_set.train.shape,
        train_samples=len(data_set.train),
        test_samples=len(data_set.test),
        train_labeled=None if labeled == len(data_set.train) else labeled,
        masks=data_set.train.masked,
        classes_by_label=counts if data.labels else (),
    )


def _classes(data_set: DataSet, data: DataPlan, label: str | None) -> int:
    """How many classes there are, of one label if it has a name."""
    present = 1 + max(int(part.labels.max()) for part in (data_set.train, data_set.test))
    if present < 1:
        what = "labels" if label is None else f"labels `{label}`"
        message = f"the data {data.source} have no {what} that say how many classes there are"
        help = "say it: `classes = 10` in the block `data`" if label is None else None
        raise data_error(message, help)
    expected = data.classes_expected
    if label is not None and data_set.classes is not None and len(data_set.classes) >= present:
        return len(data_set.classes)
    named = data.source.name == "folder" and not data_set.train.masked
    if expected is not None and named and expected != present:
        message = f"the data {data.source} have {present} classes, not {expected}"
        raise data_error(message, "leave `classes` out")
    if expected is None:
        _warn_of_classes(data_set, data, present, label)
    return expected or max(2, present)


def _require_equal_kinds(data_set: DataSet, data: DataPlan) -> None:
    """Raise RunError (E508) where one split has masks and the other one label for each image."""
    if data_set.train.masked != data_set.test.masked:
        kinds = ["one label for each image", "masks"]
        train, test = (kinds[part.masked] for part in (data_set.train, data_set.test))
        raise data_error(f"the data {data.source} have {train} in train, and {test} in test")


def _warn_of_classes(data_set: DataSet, data: DataPlan, classes: int, label: str | None) -> None:
    """Warn (W301) of classes that no training sample has, by the greatest label."""
    masked, labels = data_set.train.masked, data_set.train.labels
    present = set(labels[labels >= 0].tolist())
    if len(present) == classes:
        return
    lacking = sorted(set(range(classes)).difference(present))
    numbers = ", ".join(map(str, lacking[:3])) + f" and {len(lacking) - 3} more" * (
        len(lacking) > 3
    )
    help = "a sample without a label has -1; or say how many classes there are: `classes = "
    if masked:
        help = f"{UNLABELED}; or say how many classes there are: `classes = "
    if lacking == [0]:
        help = "if labels count from 1, subtract 1; or say how many classes there are: `classes = "
    help = f"{help}{classes}` in the block `data`"
    if label is not None:
        help = "a Dataset says which classes there are by its `classes`, a dict of lists of names"
    what = "label" if label is None else f"label `{label}`"
    warn(
        "W301",
        f"the greatest {what} of the data {data.source} is {classes - 1}, so there are {classes} "
        f"classes, and no {'pixel of a ' * masked}training sample is of class {numbers}",
        help=help,
    )


def _require_count(data: DataPlan, count: int | None, below: int, name: str) -> None:
    labeled = name == "validation" and data.known_facts.train_labeled is not None
    if count is not None and not 0 < count < below:
        message = (
            f"`{name}` takes {count} of the {'labeled ' * labeled}training samples of "
            f"{data.source}, and can take from 1 to {below - 1}"
        )
        raise data_error(message)


def _require_consistent(data_set: DataSet, data: DataPlan, facts: Facts) -> None:
    """Raise RunError (E508) unless counts, shapes and labels are those of the facts."""
    where, shape = f"the data set {data.source}", facts.shape
    if data.source.name in ("folder", "python"):
        shape = data.shape  # these are resized already
    else:
        where += f" in {data_root(data)}"
    counts = {"train": facts.train_samples, "test": facts.test_samples}
    for split, part in (("train", data_set.train), ("test", data_set.test)):
        images, labels = len(part.image), len(part.label)
        if images != counts[split] or labels != counts[split]:
            message = (
                f"{where} is not whole: {split} has {images:,} images and {labels:,} labels "
                f"of {counts[split]:,}"
            )
            raise data_error(message, "get it anew, and replace what is there")
        if part.shape != shape:
            actual, expected = ("x".join(map(str, each)) for each in (part.shape, shape))
            message = f"{where}: the images of {split} are {actual}, not {expected}"
            raise data_error(message)
        _require_equal_kinds(data_set, data)
        if part.masked != facts.masks:
            raise data_error(f"{where} has other labels than before: masks, or no longer masks")
        for name, each in by_label(data_set, data.labels):
            _require_in_range(where, split, getattr(each, split), data.classes_of(name), name)
    for name, each in by_label(data_set, data.labels):
        if not bool((each.test.label >= 0).any()):
            what = "a label" if name is None else f"a label `{name}`"
            message = f"{where}: no sample of test has {what}, so that there is no test accuracy"
            raise data_error(message, "give it the samples to test on that have labels")


def _require_in_range(
    where: str, split: str, part: ImageSet, classes: int, name: str | None
) -> None:
    """Raise RunError (E508) for labels that are no class of so many."""
    if wrong := _out_of_range(part.labels, classes):
        what = "label" if name is None else f"label `{name}`"
        message = (
            f"{where} has the {what} {wrong[0]} in {split}, and labels of {classes} "
            f"classes are 0 to {classes - 1}, or -1 for none"
        )
        from_one = wrong[0] == classes and not bool((part.labels == 0).any())
        help = UNLABELED if part.masked else None
        raise data_error(message, "if labels count from 1, subtract 1" if from_one else help)


def _out_of_range(label: Tensor, classes: int) -> list[int]:
    first: list[int] = label[(label < -1) | (label >= classes)][:1].tolist()
    return first
