"""The data of a plan: its settings, and the facts of a data set."""

from typing import Literal

from ktgdsl.vocabulary.call import Call, Data

EVALUATION_BATCH = 256
"""Images in a batch, at least, when a split is evaluated: without gradients there is memory."""


class Percent(Data):
    """A percentage of samples, kept until the data are loaded and their number is known."""

    percent: float


class Facts(Data):
    """Sizes of a data set; `shape` is (channels, height, width) in pixels."""

    classes: int
    shape: tuple[int, int, int]
    train_samples: int
    test_samples: int
    train_labeled: int | None = None
    """The number of training samples that have a label, None where all have."""
    masks: bool = False
    """Whether each pixel has a label, so that those of a sample are a mask (height, width)."""
    classes_by_label: tuple[int, ...] = ()
    """The classes of each label where samples have several; `classes` is the greatest number."""


FEWER_VALIDATION_LABELS = "say how many labels there are to judge by, such as `validation = 40`"
"""The fix for a validation split with more labels than there are to learn from."""


class DataPlan(Data):
    """The data of a run. `facts` is None for the user's own data until they are loaded."""

    source: Call
    facts: Facts | None
    batch: int
    samples: int | Percent | None = None
    """The number of training samples that are used, None for all."""
    validation: int | Percent
    """The number of those in the held-out split, which exists only under `holdout`."""
    holdout: bool
    augment: Literal["none", "paper", "standard"]
    resize: tuple[int, int] | None = None
    """(height, width) in pixels that all images are brought to; None leaves them as they are."""
    crop: Literal["center", "random"] | None = None
    """How `resize` crops to keep the proportions; None changes the proportions."""
    mean: tuple[float, ...] | None = None
    """By which images are normalised, one or one a channel, where white is 1; with `std`."""
    std: tuple[float, ...] | None = None
    root: str | None = None
    """The folder of the data, absolute."""
    classes_expected: int | None = None
    """The number of classes that the spec states, checked when the data are loaded."""
    labeled: int | Percent | None = None
    """The number of used training samples that keep their label, None for all."""
    labeled_batch: int | None = None
    """The samples with a label in each batch, whose others have none; None mixes them at random."""
    views: int = 1
    workers: int = 0
    drop_last: bool = True
    """Whether the samples that do not fill a last batch are left out of an epoch."""
    evaluation_batch: int | None = None
    """The images in a batch when a split is evaluated, None for `EVALUATION_BATCH` or `batch`."""
    labels: tuple[str, ...] = ()
    """The labels of a sample that are read, by the heads that answer them; none where it has one.

    Label i is column i of the labels (N, labels) of a split.
    """

    @property
    def known_facts(self) -> Facts:
        """`facts`; raises ValueError while they are None: the data have to be loaded first."""
        if self.facts is None:
            raise ValueError("these data are not read yet: `ktgdsl.complete(plan)` does it")
        return self.facts

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.known_facts.classes

    def classes_of(self, head: str | None) -> int:
        """The number of classes of the label that a head answers, None for the only one."""
        return (
            self.classes if head is None else self.known_facts.classes_by_label[self.column(head)]
        )

    def column(self, head: str) -> int:
        """The column of the label that a head answers."""
        return self.labels.index(head)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image as networks see it, in pixels."""
        shape = self.known_facts.shape
        return shape if self.resize is None else (shape[0], *self.resize)

    @property
    def label_shape(self) -> tuple[int, ...]:
        """The shape of the label of a sample: (), or (height, width) where each pixel has one."""
        return self.shape[1:] if self.known_facts.masks else ()

    @property
    def train_samples(self) -> int:
        """The number of training samples that are used, held-out ones included."""
        whole = self.known_facts.train_samples
        return whole if self.samples is None else _count(self.samples, whole)

    @property
    def labeled_train_samples(self) -> int:
        """The number of training samples that are used and come with a label."""
        facts = self.known_facts
        if facts.train_labeled is None:
            return self.train_samples
        return round(facts.train_labeled * self.train_samples / facts.train_samples)

    @property
    def held_out_samples(self) -> int:
        """The size of the held-out split, which is taken from the samples with a label."""
        return _count(self.validation, self.labeled_train_samples)

    @property
    def labeled_samples(self) -> int | None:
        """The number of training samples that keep their label, None for all."""
        return None if self.labeled is None else _count(self.labeled, self.train_samples)

    @property
    def trained_samples(self) -> int:
        """The number of samples that are trained on."""
        return self.train_samples - (self.held_out_samples if self.holdout else 0)

    @property
    def trained_labeled(self) -> int:
        """The number of samples that are trained on and have a label."""
        left = self.labeled_train_samples - (self.held_out_samples if self.holdout else 0)
        return left if self.labeled_samples is None else min(left, self.labeled_samples)

    @property
    def samples_per_pass(self) -> int:
        """The number of samples that an epoch is one pass over.

        With `labeled_batch` those without a label.
        """
        mixed = self.labeled_batch is not None
        return self.trained_samples - (self.trained_labeled if mixed else 0)

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches: whole ones, or under `drop_last = false` all.

        A data set smaller than the batch is one batch.
        """
        whole, rest = divmod(self.samples_per_pass, self.batch - (self.labeled_batch or 0))
        return max(1, whole + (rest > 0 and not self.drop_last))

    @property
    def batch_sizes(self) -> tuple[int, int]:
        """The samples in a full batch, and in a smaller last batch, 0 where there is none."""
        labeled = self.labeled_batch or 0
        share = min(self.batch - labeled, self.samples_per_pass)
        rest = 0 if self.drop_last else self.samples_per_pass % share
        return share + labeled, rest + labeled if rest else 0

    @property
    def labeled_batch_problem(self) -> str | None:
        """Why no batch can have `labeled_batch` samples with a label and others; None if it can."""
        if self.labeled_batch is None:
            return None
        if self.labeled_batch > self.trained_labeled:
            return (
                f"`labeled_batch` takes {self.labeled_batch} samples with a label, and there are "
                f"{self.trained_labeled} to learn from"
            )
        if self.samples_per_pass == 0:
            return (
                "`labeled_batch` fills a batch with samples without a label, and all "
                f"{self.trained_samples} to learn from have one"
            )
        return None

    @property
    def validation_problem(self) -> str | None:
        """A warning if the held-out split has more labels than there are to learn from, or None."""
        if (
            not self.holdout
            or self.labeled is None
            or self.held_out_samples <= self.trained_labeled
        ):
            return None
        return (
            f"`labeled` leaves {self.trained_labeled:,} labels to learn from, and the validation "
            f"split has {self.held_out_samples:,} others"
        )

    @property
    def evaluation_batch_size(self) -> int:
        """The images in a batch, at most, when a split is evaluated.

        With masks, whose logits need much memory, by default as many as in a training batch.
        """
        least = 1 if self.known_facts.masks else EVALUATION_BATCH
        return self.evaluation_batch or max(self.batch, least)


def _count(samples: int | Percent, whole: int) -> int:
    if isinstance(samples, Percent):
        return round(whole * samples.percent / 100)
    return samples
