"""Images a second: `python -m tests.benchmarks.images [--quick]`.

Batches of 64 for training, augmented as in the paper (reflect-padded by 4, cropped, flipped), from
50,000 random images of 3 x 32 x 32: ours, resident and streamed by two workers, and torchvision's
transforms in a DataLoader with two workers. They are interleaved, an epoch each; medians, with the
quartiles. `times` is the rate over that of the DataLoader. Nothing is trained meanwhile.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median, quantiles

import torch

from ktgdsl.training.batches import batches
from ktgdsl.training.data import Split
from ktgdsl.training.datasets.augment import Augment
from ktgdsl.training.datasets.image_set import TensorImages
from ktgdsl.training.datasets.preprocessing import Preprocessing
from ktgdsl.training.datasets.stream import ImageStream
from tests.benchmarks.output import Row, options, show
from tests.benchmarks.reference import WORKERS, loader

BATCH = 64
DATALOADER = f"DataLoader, {WORKERS} workers"


def epochs(count: int) -> dict[str, Callable[[], Iterable[object]]]:
    """An epoch of each, by its name."""
    stream = torch.Generator().manual_seed(0)
    image = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=stream)
    label = torch.randint(10, (count,), generator=stream)
    preprocessing = Preprocessing(Augment(pad=4, flips=True, reflect=True))
    resident = Split(image, label, 255, preprocessing)
    rows = ImageStream(TensorImages(image), torch.arange(count), WORKERS, pin=False)
    streamed = Split(image.to("meta"), label, 255, preprocessing, rows)
    batches_of_dataloader = loader(image, label, BATCH, learn=True, augment=True)
    return {
        "ours, resident": lambda: batches(resident, BATCH, seed=0, epoch=1),
        f"ours, streamed, {WORKERS} workers": lambda: batches(streamed, BATCH, seed=0, epoch=1),
        DATALOADER: lambda: batches_of_dataloader,
    }


def measure(count: int, rounds: int) -> list[Row]:
    """All of them, interleaved; the first round is a warm-up."""
    rates: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for name, epoch in epochs(count).items():
            began = time.perf_counter()
            seen = sum(1 for _ in epoch()) * BATCH
            if turn:
                rates.setdefault(name, []).append(seen / (time.perf_counter() - began))
    return [_row(name, rates) for name in rates]


def _row(name: str, rates: Mapping[str, Sequence[float]]) -> Row:
    low, _, high = quantiles(rates[name], n=4, method="inclusive")
    return {
        "what": name,
        "images/s": round(median(rates[name])),
        "quartiles": f"{low:,.0f} to {high:,.0f}",
        "n": len(rates[name]),
        "times": round(median(rates[name]) / median(rates[DATALOADER]), 1),
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of a tenth of the images")
    arguments = parser.parse_args()
    rows = measure(5_000, 2) if arguments.quick else measure(50_000, 7)
    show(rows, f"{torch.get_num_threads()} threads, epochs interleaved", arguments.json)


if __name__ == "__main__":
    main()
