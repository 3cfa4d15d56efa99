"""Batches of a split: shuffled and augmented for an epoch, or in order for an evaluation."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ktgdsl.backend.process_group import SINGLE, ProcessGroup, gathered
from ktgdsl.backend.seeds import derive
from ktgdsl.training.data import Batch, Split
from ktgdsl.training.datasets.augment import AugmentDraws
from ktgdsl.training.datasets.label_columns import combinations
from ktgdsl.training.datasets.order import Order, mixed, part_of, shuffled
from ktgdsl.training.datasets.two_views import require_equal_masks


def batches(
    split: Split, size: int, seed: int, epoch: int, *, drop_last: bool = True
) -> Iterator[Batch]:
    """`numbered_batches` without the numbers of the samples."""
    drawn = numbered_batches(split, size, seed, epoch, drop_last=drop_last)
    return ((image, label) for image, label, _ in drawn)


def numbered_batches(
    split: Split,
    size: int,
    seed: int,
    epoch: int,
    *,
    drop_last: bool = True,
    labeled: int | None = None,
    views: int = 1,
    group: ProcessGroup = SINGLE,
    skip: int = 0,
) -> Iterator[tuple[Tensor, ...]]:
    """Shuffled batches of one epoch, counted from 1, augmented if the split is to be.

    Each is images, labels (or masks, which move with their images) and the numbers of the samples,
    (B,) int64, positions in the split; and with `views=2` the images of the same samples again,
    augmented or read by a stream of their own.

    The order depends on the seed, the epoch, the number of samples and those that are labeled
    alone, and so do the augmentation and what is random in a user's Dataset, whether the images
    are streamed or not. The samples that do not fill a batch are left out, as in the paper's code,
    or with `drop_last=False` are a smaller last batch; a split that is smaller than a batch is one
    batch. With `labeled` so many samples of each batch have a label and the others none (`mixed`).
    Nothing waits for the device, but for the labels where batches are mixed.

    In a `group` of several processes the images are this one's part of each batch, and labels and
    numbers those of the whole. The first `skip` batches are left out, and not read.
    """
    if labeled is None:
        order = shuffled(len(split), size, seed, epoch, drop_last=drop_last)
    else:
        order = mixed(
            combinations(split.label.cpu()), size, labeled, seed, epoch, drop_last=drop_last
        )
    augment = split.preprocessing.augment
    draws: list[AugmentDraws] = []
    if augment is not None:
        draws = [augment.draw(len(order.sample), seed, epoch, view) for view in range(views)]
    if group.is_distributed:
        rows, order = part_of(order, group)
        draws = [each[rows] for each in draws]
    start = skip * order.batch
    order = order.after(skip)
    if not len(order.sample):
        return
    draws = [each[start:].to(split.label.device) for each in draws]
    start = 0
    for images, mask, chosen in _read_batches(split, order, seed, epoch, views):
        part = slice(start, start + len(chosen))
        first, *others = _views(split, images, [each[part] for each in draws], views)
        if mask is not None and augment is not None:
            mask = augment.apply_to_masks(mask, draws[0][part])
        start = part.stop
        label = split.labels(chosen, mask)
        if group.is_distributed:
            label, chosen = gathered(label), gathered(chosen)
        yield first, label, chosen, *others


def _views(
    split: Split, images: Sequence[Tensor], draws: Sequence[AugmentDraws], views: int
) -> list[Tensor]:
    """The images of a batch in each view, normalised; `images` is one reading or one for each."""
    augment = split.preprocessing.augment
    if augment is None:
        shown = [split.normalized(image) for image in images]
        return shown if len(shown) == views else shown * views
    images = images if len(images) == views else [*images] * views
    pairs = zip(images, draws, strict=True)
    return [split.normalized(augment.apply(image, each)) for image, each in pairs]


def batches_in_order(split: Split, size: int, group: ProcessGroup = SINGLE) -> Iterator[Batch]:
    """Every sample once, in the order of the split, never augmented; the last batch may be smaller.

    What is random in a user's Dataset is the same each time. In a `group` of several processes each
    has a part of the samples.
    """
    samples = group.part(torch.arange(len(split)))
    batches = [each for each in torch.split(samples, size) if len(each)]
    parts = [slice(int(each[0]), int(each[-1]) + 1) for each in batches]
    if split.stream is None:
        yield from map(split.batch, parts)
    else:
        for part, each in zip(parts, split.stream.samples(samples, size), strict=True):
            image, mask = _on_device(each, split.label.device)
            yield split.normalized(image), split.labels(part, mask)


def _read_batches(
    split: Split, order: Order, seed: int, epoch: int, views: int
) -> Iterator[tuple[Sequence[Tensor], Tensor | None, Tensor]]:
    """Yield batches before augmentation, all on the device.

    Each is images (B, C, H, W), once or, where reading is random, for each view; their masks
    (B, H, W), of the first reading; and the positions of the samples in the split, (B,).
    """
    device, stream = split.label.device, split.stream
    chosen = torch.split(order.sample.to(device, non_blocking=True), order.batch)
    if stream is None:
        for each in chosen:
            yield [split.image[each]], None if split.mask is None else split.mask[each], each
        return
    times = 1
    if not stream.source.random:
        read = stream.samples(order.sample, order.batch)
    else:
        repeat = torch.zeros_like(order.sample) if order.repeat is None else order.repeat
        reading = torch.stack([repeat * views + view for view in range(views)])
        numbers = range(int(reading.max()) + 1)
        seeds = [derive(seed, "read", *((n, epoch) if n else (epoch,))) for n in numbers]
        read, times = stream.readings(order.sample, order.batch, seeds, reading), views
    for sample, each in zip(read, chosen, strict=True):
        for masks in sample[1:]:
            require_equal_masks(masks.chunk(times))
        images, mask = _on_device(sample, device)
        yield images.chunk(times), None if mask is None else mask[: len(each)], each


def _on_device(sample: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """The images of a batch that was read, and their masks if they have any."""
    image, *masks = (part.to(device, non_blocking=True) for part in sample)
    return image, masks[0] if masks else None
