"""A summary of `folder(...)` without torch: classes, numbers of images, and their size."""

from dataclasses import dataclass

from ktgdsl.errors import RunError
from ktgdsl.plan.model import DataPlan, Facts
from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.image_headers import read_headers
from ktgdsl.training.datasets.image_paths import image_paths
from ktgdsl.training.datasets.mask_paths import has_masks, mask_paths

MAX_HEADERS = 2_000
"""Images, spread over the folder, whose headers are read: a run reads all."""


@dataclass(frozen=True)
class FolderSummary:
    """The images of a folder.

    Attributes:
        classes: their names in the order of their numbers.
        facts: for a plan; None where the images do not have one size, or there are none.
        text: how many there are, and what is wrong with them, in a line.
    """

    classes: tuple[str, ...]
    facts: Facts | None
    text: str


def summarize_folder(data: DataPlan) -> FolderSummary:
    """The summary of a folder, from the names and headers of its files."""
    masked, classes = has_masks(data), tuple[str, ...]()
    try:
        if masked:
            pairs = mask_paths(data)
            files = {split: [image for image, _ in each] for split, each in pairs.items()}
        else:
            found = image_paths(data)
            files = {split: paths for split, (paths, _) in found.files.items()}
            classes = found.classes
    except RunError as error:
        return FolderSummary((), None, error.diagnostics[0].message)
    train, test = (len(files[split]) for split in ("train", "test"))
    counts = f"{train:,} to train, {test:,} to test" + ", with masks" * masked
    every = [*files["train"], *files["test"]]
    step = -(-len(every) // MAX_HEADERS)
    try:
        headers = read_headers(every[::step], any_size=data.resize is not None)
    except UnreadableError as error:
        return FolderSummary(classes, None, f"{counts}; {error}")
    if step > 1:
        counts += f", by the headers of {len(every[::step]):,}"
    known = data.classes_expected if masked else max(2, len(classes))
    if known is None:  # only reading the masks tells
        return FolderSummary((), None, counts)
    facts = Facts(
        classes=known,
        masks=masked,
        shape=(headers.channels, *(data.resize or headers.size)),
        train_samples=train,
        test_samples=test,
    )
    return FolderSummary(classes, facts, counts)
