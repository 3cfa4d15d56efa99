"""The data of a script: read, split and drawn from the same seeds as in a run."""

from collections.abc import Iterator, Sequence

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.heads import with_means
from ktgdsl.plan.model import DataPlan
from ktgdsl.standalone import image_reading
from ktgdsl.standalone.evaluation_code import EVALUATE, EVALUATE_HEADS, of_drawn_images
from ktgdsl.standalone.own_data import OwnData
from ktgdsl.standalone.read_code import FILES, drawn, drawn_images, read_code, resized, root_of
from ktgdsl.standalone.source import Definitions
from ktgdsl.standalone.text import block, literal
from ktgdsl.training import digits
from ktgdsl.training.datasets.augment import Augment
from ktgdsl.training.datasets.label_columns import combinations
from ktgdsl.training.datasets.masks import is_labeled
from ktgdsl.training.datasets.order import mixed, shuffled
from ktgdsl.training.datasets.preprocessing import augmentation
from ktgdsl.training.datasets.statistics import MAX_IMAGES
from ktgdsl.training.datasets.subsets import keep_labels, stratified
from ktgdsl.training.metrics import eval_mode
from ktgdsl.vocabulary.images import Images
from ktgdsl.vocabulary.registry import entries


def data_code(
    data: DataPlan,
    own: OwnData | None,
    needed: tuple[str, ...],
    used_here: Definitions,
    *,
    networks_alone: bool,
) -> list[str]:
    """The definitions that read data, split them and draw batches.

    Args:
        data: of the plan, with its facts.
        own: how data of the user's are read.
        needed: what a batch has: `image` and `label`, and `sample` and `second_view` if read.
        used_here: gets what they use of the package.
        networks_alone: whether networks are evaluated somewhere without ensembles.
    """
    used_here.add(derive, eval_mode)
    used_here.imports |= {
        "import torch",
        "from torch import Tensor, nn",
        "from dataclasses import dataclass",
        "from collections.abc import Iterator",
    }
    augment = augmentation(data)
    if augment is not None:
        used_here.add(Augment)
    own = own or OwnData()
    evaluate = EVALUATE
    if data.labels:
        used_here.add(with_means)
        evaluate = EVALUATE_HEADS
    if drawn(data, own) is not None:
        evaluate = of_drawn_images(evaluate)
    return [
        *([] if augment is None else [f"AUGMENT = {augment!r}"]),
        _split(data, own, used_here),
        *read_code(data, own, used_here),
        _load(data, own, used_here),
        _batches(data, own, needed, used_here),
        *([evaluate] if networks_alone else []),
    ]


def constants(data: DataPlan) -> str:
    """The settings of the data."""
    lines = [f"BATCH = {data.batch}", f"EVALUATION_BATCH = {data.evaluation_batch_size}"]
    if (root := root_of(data)) is not None:
        lines.append(f"ROOT = {literal(root)}  # the folder of the data set")
    if data.resize is not None:
        lines.append(f"SIZE = {literal(data.resize)}  # height and width of all images")
    if data.labels:
        lines.append(f"LABELS = {literal(data.labels)}  # those of a sample, by column")
    return "\n".join(lines)


def _split(data: DataPlan, own: OwnData, used: Definitions) -> str:
    """`Split`: samples, and how their images are brought to numbers that networks see."""
    known = known_normalization(data)
    computed = is_computed(data)
    if known is not None:
        used.imports.add("import torch")
        statistics = [
            f"{name} = torch.tensor({[*each]}, device=image.device).view(-1, 1, 1)"
            for name, each in zip(("mean", "std"), known, strict=True)
        ]
        mean, std = "mean", "std"
    else:
        statistics, (mean, std) = [], ("self.mean", "self.std")
    body = "image" if own.floats else f"image.float().div_({_white(data)})"
    if known is not None or computed:
        body += f".sub({mean}).div({std})" if own.floats else f".sub_({mean}).div_({std})"
    kind = drawn(data, own) or "Tensor"
    numbers = "float32" if own.floats else "uint8"
    labels = "labels (N, labels)" if data.labels else "labels (N,)"
    labels += ", -1 where there is none"
    if data.known_facts.masks:
        labels = "masks (N, H, W), -1 where a pixel has no label"
    fields = [f"image: {kind}", "label: Tensor"]
    if computed:
        used.add(image_reading.mean_and_std)
        fields += ["mean: Tensor | None = None", "std: Tensor | None = None"]
    return block(
        "@dataclass",
        "class Split:",
        f'    """Images (N, C, H, W) {numbers} and {labels}."""',
        "",
        [f"    {each}" for each in fields],
        "",
        "    def normalized(self, image: Tensor) -> Tensor:",
        '        """Images as networks see them."""',
        [f"        {each}" for each in [*statistics, f"return {body}"]],
    )


def known_normalization(data: DataPlan) -> tuple[Sequence[float], Sequence[float]] | None:
    """Mean and deviation by channel, where they do not depend on the samples."""
    if data.mean is not None and data.std is not None:
        return data.mean, data.std
    entry = entries("dataset")[data.source.name]
    if data.augment == "standard" and issubclass(entry, Images):
        return entry.mean, entry.std
    return None


def is_computed(data: DataPlan) -> bool:
    """Whether mean and deviation are those of the samples to learn from."""
    return known_normalization(data) is None and data.augment == "standard"


def _white(data: DataPlan) -> int:
    return digits.WHITE if data.source.name == "digits" else 255


def _load(data: DataPlan, own: OwnData, used: Definitions) -> str:
    """`load_data`: the splits that a seed gives."""
    lines = [*_learned(data, used)]
    learned = "[learned]" if lines else ""
    label = f"train.label{learned}"
    if data.labeled_samples is not None:
        used.add(keep_labels)
        count = data.labeled_samples
        stratum = _stratum("train.label", data, used)
        kept = f'keep_labels({stratum}{learned}, {count}, derive(seed, "labeled"))'
        if stratum == "train.label":
            label = kept
        else:
            more = ", None" * (2 if data.known_facts.masks else 1)
            lines.append(f"kept = {kept} >= 0")
            label = f"torch.where(kept[:{more}], {label}, -1)"
    results = [f"Split(train.image{learned}, {label})"]
    if data.holdout:
        results.append("Split(train.image[held_out], train.label[held_out])")
    results.append("test")
    kinds = f"tuple[{', '.join(['Split'] * len(results))}]"
    what = "to learn from, held out and" if data.holdout else "to learn from and"
    moved = "each.image.to(device), each.label.to(device)"
    statistics: list[str] = []
    if is_computed(data):
        moved += ", mean, std"
        image, count = f"train.image{learned}", data.trained_samples
        if count > MAX_IMAGES:
            image += f"[torch.arange({MAX_IMAGES}) * {count} // {MAX_IMAGES}]"
        if drawn(data, own) is not None:
            image += ".read(0)"
        found = f"mean_and_std({image}, {1 if own.floats else _white(data)})"
        statistics = [
            f"mean, std = (each.float().view(-1, 1, 1).to(device) for each in {found})",
        ]
    found = "read_data()"
    if data.resize is not None and data.source.name not in FILES and own.sample is None:
        image = resized("each.image", data, used)
        if data.crop == "random":
            image = drawn_images("each.image.__getitem__", "len(each.image)", data, used)
        found = f"(Split({image}, each.label) for each in read_data())"
    return block(
        f"def load_data(seed: int, device: torch.device) -> {kinds}:",
        f'    """The samples {what} to test on."""',
        f"    train, test = {found}",
        [f"    {line}" for line in [*lines, *statistics]],
        f"    splits = [{', '.join(results)}]",
        f"    return tuple(Split({moved}) for each in splits)",
    )


def _stratum(label: str, data: DataPlan, used: Definitions) -> str:
    """An expression for a number (N,) of each sample by its label, -1 where it has none."""
    if not data.known_facts.masks and not data.labels:
        return label
    function = is_labeled if data.known_facts.masks else combinations
    used.add(function)
    return f"{function.__name__}({label})"


def _learned(data: DataPlan, used: Definitions) -> Iterator[str]:
    """Statements that set `learned` and `held_out`, the numbers of samples, unless all learn."""
    if data.samples is None and not data.holdout:
        return
    used.add(stratified)
    yield "learned = torch.arange(len(train.label))"
    stratum = _stratum("train.label", data, used)
    if stratum != "train.label":
        yield f"stratum = {stratum}"
        stratum = "stratum"
    partly = data.known_facts.train_labeled is not None
    if data.samples is not None and not partly:
        count = data.train_samples
        yield f'learned = learned[stratified({stratum}, {count}, derive(seed, "samples"))]'
    elif data.samples is not None:
        count = data.labeled_train_samples
        counts = f"({stratum} >= 0, {count}), ({stratum} < 0, {data.train_samples - count})"
        yield "mask = torch.zeros(len(train.label), dtype=torch.bool)"
        yield f"for part, count in ({counts}):"
        yield f'    mask[part] = stratified({stratum}[part], count, derive(seed, "samples"))'
        yield "learned = learned[mask]"
    if data.holdout:
        labeled = "labeled" if partly else "learned"
        if partly:
            yield f"labeled = learned[{stratum}[learned] >= 0]"
        yield (
            f"mask = stratified({stratum}[{labeled}], {data.held_out_samples}, "
            'derive(seed, "validation"))'
        )
        if partly:
            yield "held_out = labeled[mask]"
            yield "learned = learned[~torch.isin(learned, held_out)]"
        else:
            yield "held_out, learned = learned[mask], learned[~mask]"


def _batches(data: DataPlan, own: OwnData, needed: tuple[str, ...], used: Definitions) -> str:
    """`batches`: what an epoch trains with."""
    augment, drop, masks = augmentation(data), data.drop_last, data.known_facts.masks
    if data.labeled_batch is None:
        used.add(shuffled)
        order = f"shuffled(len(split.label), BATCH, seed, epoch, drop_last={drop})"
        left = "samples that fill no batch are left out" if drop else "the last may be smaller"
    else:
        used.add(mixed)
        label = _stratum("split.label.cpu()", data, used)
        order = f"mixed({label}, BATCH, {data.labeled_batch}, seed, epoch, drop_last={drop})"
        left = "some samples of each have a label, and the others none"
    second = "second_view" in needed
    first = other = "split.image[chosen]"
    label = "split.label[chosen]"
    if drawn(data, own) is not None:
        first += '.read(derive(seed, "read", epoch))'
        other += '.read(derive(seed, "read", 1, epoch))'
    draws: list[str] = []
    if augment is not None:
        draws = ["    crops = AUGMENT.draw(len(order.sample), seed, epoch).to(device)"]
        first = f"AUGMENT.apply({first}, crops[part])"
        if masks:
            label = f"AUGMENT.apply_to_masks({label}, crops[part])"
        if second:
            draws += ["    others = AUGMENT.draw(len(order.sample), seed, epoch, 1).to(device)"]
            other = f"AUGMENT.apply({other}, others[part])"
        draws.append("    start = 0")
    parts = {"image": "image", "label": label, "sample": "chosen", "second_view": "second_view"}
    kinds = ", ".join(["Tensor"] * len(needed))
    return block(
        f"def batches(split: Split, seed: int, epoch: int) -> Iterator[tuple[{kinds}]]:",
        f'    """Shuffled batches of an epoch, counted from 1; {left}."""',
        "    device = split.label.device",
        f"    order = {order}",
        draws,
        "    for chosen in order.sample.to(device).split(order.batch):",
        "        part = slice(start, start + len(chosen))" if augment is not None else None,
        f"        image = split.normalized({first})",
        f"        second_view = split.normalized({other})" if second else None,
        f"        yield {', '.join(parts[each] for each in needed)}",
        "        start += len(chosen)" if augment is not None else None,
    )
