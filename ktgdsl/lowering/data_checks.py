"""Checks of the settings of `data`: what they say together, and of the data set."""

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.plan import model
from ktgdsl.plan.data import FEWER_VALIDATION_LABELS
from ktgdsl.syntax.tree import Block
from ktgdsl.vocabulary.datasets import AnyDataset
from ktgdsl.vocabulary.entry import Percentage
from ktgdsl.vocabulary.settings import DataSettings


def check_samples(
    resolver: Resolver,
    block: Block,
    dataset: AnyDataset,
    data: DataSettings,
    facts: model.Facts | None,
) -> None:
    """Report parts of the samples that leave none for others, and a wrong number of classes."""

    if facts is None:
        return
    whole, of = facts.train_samples, f"training samples of `{dataset.word}`"
    used = whole if data.samples is None else count_of(data.samples, whole)
    if isinstance(used, int) and not 0 < used <= whole:
        message = f"`samples` takes {used} of the {whole} {of}"
        resolver.complain(
            "E302", message, _place(block, "samples"), f"any number from 1 to {whole}"
        )
        return
    for name, samples in (("validation", data.validation), ("labeled", data.labeled)):
        count = None if samples is None else count_of(samples, used)
        if isinstance(count, int) and isinstance(used, int) and not 0 < count < used:
            resolver.complain(
                "E302",
                f"`{name}` takes {count} of the {used} {of}, and both parts need some",
                _place(block, name),
            )
    if data.classes is not None and data.classes != facts.classes:
        message = f"`{dataset.word}` has {facts.classes} classes, not {data.classes}"
        resolver.complain("E302", message, _place(block, "classes"), "leave `classes` out")


def check_images(resolver: Resolver, block: Block, dataset: AnyDataset, data: DataSettings) -> None:
    """Report `crop` without `resize`, `mean` without `std`, and wrong numbers of channels."""
    for name, other, example in (
        ("crop", "resize", "resize = 32"),
        ("mean", "std", "std = 0.5"),
        ("std", "mean", "mean = 0.5"),
    ):
        if getattr(data, name) is not None and getattr(data, other) is None:
            message = f"`{name}` is nothing without `{other}`"
            fix = f"add it, such as `{example}`, or leave `{name}` out"
            resolver.complain("E302", message, _place(block, name), fix)
    for name in ("mean", "std"):
        numbers = numbers_of(getattr(data, name))
        channels = dataset.shape and dataset.shape[0]
        if numbers is not None and channels is not None and len(numbers) not in (1, channels):
            message = (
                f"`{name}` has {len(numbers)} numbers, and the images of `{dataset.word}` have "
                f"{channels} channel{'s' * (channels > 1)}"
            )
            resolver.complain("E302", message, _place(block, name))


def _place(block: Block, name: str) -> Span:
    """The place of a setting's value; of the block, where it is not written."""
    return next((s.value.span for s in block.settings if s.name == name), block.span)


def count_of(samples: int | Percentage, whole: int | model.Percent | None) -> int | model.Percent:
    """A number of samples out of `whole`, which is None or a percentage while it is not known."""
    if not isinstance(samples, Percentage):
        return samples
    if isinstance(whole, int):
        return round(whole * samples.percent / 100)
    return model.Percent.model_construct(percent=samples.percent)


def numbers_of(numbers: float | list[float] | None) -> tuple[float, ...] | None:
    """A number for all channels, or a number for each."""
    if isinstance(numbers, list):
        return tuple(numbers)
    return None if numbers is None else (numbers,)


def check_views(resolver: Resolver, block: Block, dataset: AnyDataset, data: DataSettings) -> None:
    """Warn where both views of a sample are equal; the user's own data may be random themselves."""
    pads = getattr(dataset, "pad", 0) > 0
    augmented = data.augment == "paper" or (data.augment == "standard" and pads)
    if data.views == 1 or augmented or data.crop == "random" or dataset.word == "python":
        return
    what = "is not augmented" if data.augment == "none" else "has no augmentation in `standard`"
    resolver.diagnostics.append(
        Diagnostic(
            "W106",
            f"both views of a sample are equal, since `{dataset.word}` {what}",
            _place(block, "views"),
            "`augment = paper` crops and flips each view at random",
            "warning",
        )
    )


def check_judges(
    resolver: Resolver,
    block: Block,
    data: DataSettings,
    plan: model.DataPlan,
    *,
    held_out: bool,
) -> None:
    """Warn where a share of all samples is held out, and `labeled` leaves fewer to learn from.

    Who writes a number of validation samples knows how many there are.
    """
    if plan.facts is None or not isinstance(data.validation, Percentage):
        return
    judged = plan.model_copy(update={"holdout": data.holdout or held_out})
    if (message := judged.validation_problem) is not None:
        place = _place(block, "labeled")
        resolver.diagnostics.append(
            Diagnostic("W108", message, place, FEWER_VALIDATION_LABELS, "warning")
        )


def check_labeled_batch(
    resolver: Resolver, block: Block, data: model.DataPlan, *, held_out: bool
) -> None:
    """Each batch can have samples with and without a label; `held_out` as in a search."""
    if data.labeled_batch is None:
        return
    problem, fix, known = None, None, data.facts is not None
    if data.labeled_batch >= data.batch:
        problem = (
            f"`labeled_batch` takes {data.labeled_batch} of a batch of {data.batch}, and the rest "
            "of it has no label"
        )
        fix = f"any number from 1 to {data.batch - 1}" if data.batch > 1 else None
    elif known and data.labeled is None:
        problem = f"all samples of `{data.source.name}` have a label"
        fix = "say how many keep theirs, such as `labeled = 10%`, or leave `labeled_batch` out"
    elif known:
        holdout = data.holdout or held_out
        problem = data.model_copy(update={"holdout": holdout}).labeled_batch_problem
    if problem is not None:
        resolver.complain("E302", problem, _place(block, "labeled_batch"), fix)
