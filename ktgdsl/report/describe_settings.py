"""Describes the settings of a plan as rows of text: data, train, pretrain and search."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ktgdsl.plan.goals import described
from ktgdsl.plan.model import Call, DataPlan, Percent, Plan
from ktgdsl.syntax.tree import Block, File

if TYPE_CHECKING:
    from ktgdsl.training.datasets.folder_summary import FolderSummary

SHOWN_CLASSES = 10
"""Names of classes that are shown."""


def setting_rows(
    plan: Plan, origins: Mapping[str, str], images: "FolderSummary | None"
) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """The settings by block: name, value and origin of each; see `describe`."""
    yield "data", _with_origins("data", [*_data(plan), *_images(images)], origins)
    yield "train", _with_origins("train", _train(plan), origins)
    yield "pretrain", _with_origins("pretrain", _pretrain(plan), origins)
    yield "search", _with_origins("search", _search(plan), origins)


def _search(plan: Plan) -> list[tuple[str, str]]:
    if plan.search is None:
        return []
    notes = {
        "epochs": f" of a full trial, on {plan.search.objective.arguments['on']} samples",
        "confirm": " seeds for the top three" if plan.search.confirm else " (no retraining)",
        "keep": " (the best trials)" if plan.search.keep else " (no networks are kept)",
        "workers": "" if plan.search.workers else " (one a GPU, else one for two cores)",
    }
    several = bool(plan.search.goals)
    notes["pruner"] = " (with several objectives nobody is pruned)" if several else ""
    values = {name: value_text(value) for name, value in plan.search if name != "goals"}
    values["objective"] = described(plan.search) if several else values["objective"]
    return [(name, value + notes.get(name, "")) for name, value in values.items()]


def _with_origins(
    block: str, rows: Iterable[tuple[str, str]], origins: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Adds to each row the file that sets it, or "default"."""
    # Facts of the data; of samples where no setting limits them.
    unset = {"samples": "", "class names": "", "images": ""}
    return [
        (name, text, origins.get(f"{block}.{name}", unset.get(name, "default")))
        for name, text in rows
    ]


def setting_origins(file: File) -> dict[str, str]:
    """Where the settings of the blocks were given: a file, or `--set` on the command line."""
    origins: dict[str, str] = {}
    for block in file.statements:
        if isinstance(block, Block) and block.name is None:
            spans = {setting.name: setting.value.span for setting in block.settings}
            if block.subject is not None:
                spans["source"] = block.subject.span
            for name, span in spans.items():
                command = span.path.startswith("--set ")
                origins[f"{block.kind}.{name}"] = "--set" if command else span.path
    return origins


def _classes(data: DataPlan) -> str:
    """How many classes there are, for each label where samples have several."""
    if not data.labels:
        return f"{data.classes} classes"
    return ", ".join(f"{label} of {data.classes_of(label)} classes" for label in data.labels)


def _data(plan: Plan) -> list[tuple[str, str]]:
    data = plan.data
    held = "held out" if data.holdout else "of the training samples, not held out of a run"
    used = "" if data.samples is None else f"{_samples_text(data.samples)} of "
    rows = [("source", str(data.source)), ("samples", f"{used}those that there are")]
    if (facts := data.facts) is not None:
        channels, height, width = data.shape
        whole = f"{facts.train_samples:,} to train, {facts.test_samples:,} to test"
        rows = [
            ("source", f"{data.source}, {_classes(data)}, {channels}x{height}x{width}"),
            ("samples", used + whole),
        ]
    rows += [
        ("batch", _batch(plan)),
        ("validation", f"{_samples_text(data.validation)} {held}"),
        ("holdout", str(data.holdout).lower()),
        ("augment", data.augment),
    ]
    optional = {
        "resize": data.resize and f"to {data.resize[0]}x{data.resize[1]}",
        "crop": data.crop,
        "mean": data.mean and ", ".join(map(str, data.mean)),
        "std": data.std and ", ".join(map(str, data.std)),
        "root": data.root,
        "classes": data.classes_expected,
        "labeled": None if data.labeled is None else f"{_samples_text(data.labeled)}",
        "labeled_batch": _labeled_batch(data),
        "views": f"{data.views}, each with random streams of its own" if data.views > 1 else None,
        "workers": data.workers or None,
        "drop_last": None if data.drop_last else "false",
        "evaluation_batch": data.evaluation_batch,
    }
    return [*rows, *((name, str(value)) for name, value in optional.items() if value is not None)]


def _images(images: "FolderSummary | None") -> Iterator[tuple[str, str]]:
    """Rows about a folder of images, which no setting gives."""
    if images is not None:
        if images.classes:
            first, more = images.classes[:SHOWN_CLASSES], len(images.classes) - SHOWN_CLASSES
            yield "class names", ", ".join(first) + (f" and {more:,} more" if more > 0 else "")
        yield "images", images.text


def _samples_text(samples: int | Percent) -> str:
    return f"{samples:,}" if isinstance(samples, int) else f"{samples.percent:g}%"


def _batch(plan: Plan) -> str:
    data = plan.data
    if data.facts is None:
        return f"{data.batch:,}"
    whole, last = data.batch_sizes
    if whole < data.batch:
        unlabeled = " without a label" * (data.labeled_batch is not None)
        there = f"there are {data.samples_per_pass:,} samples{unlabeled}"
        return f"{data.batch:,}, and {there}: one step an epoch, of all of them"
    steps = f"{data.steps_per_epoch} step{'s' * (data.steps_per_epoch > 1)}"
    left = f"the last of {last:,}" if last else "all whole"
    rest = "whole batches only" if data.drop_last else left
    return f"{data.batch:,}, so {steps} an epoch, {rest}"


def _labeled_batch(data: DataPlan) -> str | None:
    """How many samples of a batch have a label, and what an epoch is then."""
    if data.labeled_batch is None:
        return None
    others = "" if data.facts is None else f"{data.samples_per_pass:,} "
    return f"{data.labeled_batch:,}; an epoch is one pass over the {others}samples without a label"


def _train(plan: Plan) -> list[tuple[str, str]]:
    train = plan.train
    steps = "" if plan.data.facts is None else f", {plan.steps:,} steps"
    most = ", at most" if plan.may_stop else ""
    if plan.phases:
        steps = f" (of a phase without its own), {plan.epochs:,} epochs{steps} in all"
    notes = {
        "epochs": steps + most,
        "update": " (all nodes from one forward)",
        "reduce": " (of a loss over the batch)",
        "aggregate": " (of the transfer losses into a node)",
    }
    return [(name, setting_text(name, value) + notes.get(name, "")) for name, value in train]


def _pretrain(plan: Plan) -> list[tuple[str, str]]:
    if plan.pretrain is None:
        return []
    nodes = [node.name for node in plan.graph.nodes if node.pretrained]
    notes = {"epochs": f" (of {', '.join(nodes)})" if nodes else " (nothing is pre-trained)"}
    return [
        (name, setting_text(name, value) + notes.get(name, "")) for name, value in plan.pretrain
    ]


def setting_text(name: str, value: object) -> str:
    """The value of a setting of that name as a spec writes it."""
    return "never" if name == "stop" and value is None else value_text(value)


def value_text(value: object) -> str:
    """A setting's value as a spec writes it, but with separators in large numbers."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]" if value else "none"
    if isinstance(value, Call):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
