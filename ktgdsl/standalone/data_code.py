"""The data of a script: read, split and drawn from the same seeds as in a run."""

import base64
import lzma
import textwrap
from collections.abc import Sequence

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.model import DataPlan
from ktgdsl.standalone import runtime
from ktgdsl.standalone.evaluation_code import EVALUATE
from ktgdsl.standalone.source import Definitions, import_line, own_name
from ktgdsl.standalone.text import block, literal, options
from ktgdsl.training import digits
from ktgdsl.training.datasets.augment import Augment
from ktgdsl.training.datasets.order import mixed, shuffled
from ktgdsl.training.datasets.preprocessing import augmentation
from ktgdsl.training.datasets.subsets import keep_labels, stratified
from ktgdsl.training.metrics import eval_mode
from ktgdsl.vocabulary.images import Images
from ktgdsl.vocabulary.registry import entries

TORCHVISION = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}
"""The name of a data set in torchvision, by its word in the vocabulary."""


def data_code(
    data: DataPlan, needed: tuple[str, ...], used_here: Definitions, *, networks_alone: bool
) -> list[str]:
    """The definitions that read data, split them and draw batches.

    Args:
        data: of the plan, with its facts.
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
    return [
        *([] if augment is None else [f"AUGMENT = {augment!r}"]),
        _split(data, used_here),
        _read(data, used_here),
        _load(data, used_here),
        _batches(data, needed, used_here),
        *([EVALUATE] if networks_alone else []),
    ]


def embedded(data: DataPlan) -> str | None:
    """The text that has the samples of the data set `digits`, for the end of a script."""
    if data.source.name != "digits":
        return None
    image, label = digits.read()
    raw = image.numpy().tobytes() + label.byte().numpy().tobytes()
    text = base64.b85encode(lzma.compress(raw, preset=9)).decode()
    return f'DIGITS = """\n{textwrap.fill(text, 99)}\n"""'


def constants(data: DataPlan) -> str:
    """The settings of the data."""
    lines = [f"BATCH = {data.batch}", f"EVALUATION_BATCH = {data.evaluation_batch_size}"]
    if data.source.name in TORCHVISION:
        root = "data" if data.root is None else data.root
        lines.append(f"ROOT = {literal(root)}  # the folder of the data set")
    return "\n".join(lines)


def _split(data: DataPlan, used: Definitions) -> str:
    """`Split`: samples, and how their images are brought to numbers that networks see."""
    white = _white(data)
    known = _known_normalization(data)
    computed = _is_computed(data)
    number = f"image.float().div_({white})"
    if known is not None:
        used.imports.add("import torch")
        body = [
            *(
                f"{name} = torch.tensor({[*each]}, device=image.device).view(-1, 1, 1)"
                for name, each in zip(("mean", "std"), known, strict=True)
            ),
            f"return {number}.sub_(mean).div_(std)",
        ]
    elif computed:
        body = [f"return {number}.sub_(self.mean).div_(self.std)"]
    else:
        body = [f"return {number}"]
    fields = ["image: Tensor", "label: Tensor"]
    if computed:
        used.add(runtime.mean_and_std)
        fields += ["mean: Tensor | None = None", "std: Tensor | None = None"]
    return block(
        "@dataclass",
        "class Split:",
        '    """Images (N, C, H, W) uint8 and labels (N,), -1 where there is none."""',
        "",
        [f"    {each}" for each in fields],
        "",
        "    def normalized(self, image: Tensor) -> Tensor:",
        '        """Images as networks see them."""',
        [f"        {each}" for each in body],
    )


def _known_normalization(data: DataPlan) -> tuple[Sequence[float], Sequence[float]] | None:
    """Mean and deviation by channel, where they do not depend on the samples."""
    if data.mean is not None and data.std is not None:
        return data.mean, data.std
    entry = entries("dataset")[data.source.name]
    if data.augment == "standard" and issubclass(entry, Images):
        return entry.mean, entry.std
    return None


def _is_computed(data: DataPlan) -> bool:
    """Whether mean and deviation are those of the samples to learn from."""
    return _known_normalization(data) is None and data.augment == "standard"


def _white(data: DataPlan) -> int:
    return digits.WHITE if data.source.name == "digits" else 255


def _read(data: DataPlan, used: Definitions) -> str:
    """`read_data`: the training samples and those to test on, as the data set has them."""
    word = data.source.name
    if word == "digits":
        used.imports |= {"import base64", "import lzma"}
        samples, count = data.known_facts.train_samples, len(digits.read()[1])
        return f'''def read_data() -> tuple[Split, Split]:
    """The digits to train with, and those to test on: pixels from 0 to 16."""
    content = bytearray(lzma.decompress(base64.b85decode("".join(DIGITS.split()))))
    pixels, label = torch.frombuffer(content, dtype=torch.uint8).split([{count * 64}, {count}])
    image, label = pixels.view(-1, 1, 8, 8), label.long()
    first, rest = slice({samples}), slice({samples}, None)
    return Split(image[first], label[first]), Split(image[rest], label[rest])'''
    if word == "python":
        return _read_own(data, used)
    used.imports.add("from torchvision import datasets")
    kind = TORCHVISION[word]
    split = 'split="train"', 'split="test"'
    which = split if word == "svhn" else ("train=True", "train=False")
    image = {
        "mnist": "found.data[:, None]",
        "svhn": "torch.from_numpy(found.data)",
        "cifar10": "torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()",
    }[{"fashion_mnist": "mnist", "cifar100": "cifar10"}.get(word, word)]
    label = {"svhn": "found.labels"}.get(word, "found.targets")
    return f'''def read_data() -> tuple[Split, Split]:
    """The samples to train with, and those to test on."""
    return tuple(
        Split({image}, torch.as_tensor({label}).long())
        for found in (
            datasets.{kind}(ROOT, {which[0]}, download=True),
            datasets.{kind}(ROOT, {which[1]}, download=True),
        )
    )'''


def _read_own(data: DataPlan, used: Definitions) -> str:
    """`read_data` by the user's function, which gives arrays."""
    arguments = dict(data.source.arguments)
    module, _, function = str(arguments.pop("function")).partition(":")
    name = own_name(module, function)
    used.own.add(import_line(name, (module, function)))
    more = f", {options(arguments)}" if arguments else ""
    return block(
        "def read_data() -> tuple[Split, Split]:",
        '    """The samples to train with, and those to test on."""',
        "    return tuple(",
        "        Split(torch.as_tensor(image), torch.as_tensor(label).long())",
        f'        for image, label in ({name}(split{more}) for split in ("train", "test"))',
        "    )",
    )


def _load(data: DataPlan, used: Definitions) -> str:
    """`load_data`: the splits that a seed gives."""
    lines: list[str] = []
    label = "train.label[learned]"
    if data.samples is not None:
        used.add(stratified)
        lines.append(
            f"learned = learned[stratified(train.label, {data.train_samples}, "
            'derive(seed, "samples"))]'
        )
    if data.holdout:
        used.add(stratified)
        lines += [
            f"mask = stratified(train.label[learned], {data.held_out_samples}, "
            'derive(seed, "validation"))',
            "held_out, learned = learned[mask], learned[~mask]",
        ]
    if lines:
        lines.insert(0, "learned = torch.arange(len(train.label))")
    learned = "[learned]" if lines else ""
    label = f"train.label{learned}"
    if data.labeled_samples is not None:
        used.add(keep_labels)
        label = f'keep_labels({label}, {data.labeled_samples}, derive(seed, "labeled"))'
    results = [f"Split(train.image{learned}, {label})"]
    if data.holdout:
        results.append("Split(train.image[held_out], train.label[held_out])")
    results.append("test")
    kinds = f"tuple[{', '.join(['Split'] * len(results))}]"
    what = "to learn from, held out and" if data.holdout else "to learn from and"
    moved = "each.image.to(device), each.label.to(device)"
    statistics: list[str] = []
    if _is_computed(data):
        moved += ", mean, std"
        found = f"mean_and_std(train.image{learned}, {_white(data)})"
        statistics = [
            f"mean, std = (each.float().view(-1, 1, 1).to(device) for each in {found})",
        ]
    return block(
        f"def load_data(seed: int, device: torch.device) -> {kinds}:",
        f'    """The samples {what} to test on."""',
        "    train, test = read_data()",
        [f"    {line}" for line in [*lines, *statistics]],
        f"    splits = {', '.join(results)}",
        f"    return tuple(Split({moved}) for each in splits)",
    )


def _batches(data: DataPlan, needed: tuple[str, ...], used: Definitions) -> str:
    """`batches`: what an epoch trains with."""
    augment, drop = augmentation(data), data.drop_last
    if data.labeled_batch is None:
        used.add(shuffled)
        order = f"shuffled(len(split.label), BATCH, seed, epoch, drop_last={drop})"
        left = "samples that fill no batch are left out" if drop else "the last may be smaller"
    else:
        used.add(mixed)
        order = (
            f"mixed(split.label.cpu(), BATCH, {data.labeled_batch}, seed, epoch, drop_last={drop})"
        )
        left = "some samples of each have a label, and the others none"
    second = "second_view" in needed
    draws, first, other = [], "split.image[chosen]", "split.image[chosen]"
    if augment is not None:
        draws = ["    crops = AUGMENT.draw(len(order.sample), seed, epoch).to(device)"]
        first = "AUGMENT.apply(split.image[chosen], crops[part])"
        if second:
            draws += ["    others = AUGMENT.draw(len(order.sample), seed, epoch, 1).to(device)"]
            other = "AUGMENT.apply(split.image[chosen], others[part])"
        draws.append("    start = 0")
    parts = {
        "image": f"split.normalized({first})",
        "label": "split.label[chosen]",
        "sample": "chosen",
        "second_view": f"split.normalized({other})",
    }
    kinds = ", ".join(["Tensor"] * len(needed))
    return block(
        f"def batches(split: Split, seed: int, epoch: int) -> Iterator[tuple[{kinds}]]:",
        f'    """Shuffled batches of an epoch, counted from 1; {left}."""',
        "    device = split.label.device",
        f"    order = {order}",
        draws,
        "    for chosen in order.sample.to(device).split(order.batch):",
        "        part = slice(start, start + len(chosen))" if augment is not None else None,
        f"        yield {', '.join(parts[each] for each in needed)}",
        "        start += len(chosen)" if augment is not None else None,
    )
