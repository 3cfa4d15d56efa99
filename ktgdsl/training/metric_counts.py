"""Computes the metrics of `train { metrics }` while nodes are evaluated for their accuracy."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from ktgdsl.measures.classification import METRICS
from ktgdsl.measures.counter import Counter
from ktgdsl.plan.heads import with_means
from ktgdsl.training.events import Measured
from ktgdsl.vocabulary.metrics import Metric


class MetricCounts:
    """Counts the answers of nodes batch by batch, and computes metrics from the counts."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics
        self._counters: dict[str, Counter] = {}

    def __call__(self, logits: Mapping[str, Tensor], label: Tensor) -> None:
        """Count a batch: logits (B, classes, *rest) by node, and labels (B, *rest), -1 for none."""
        for name, each in logits.items():
            if name not in self._counters:
                self._counters[name] = Counter(each.shape[1], each.device)
            self._counters[name].update(each, label)

    def read(self) -> Measured:
        """Each metric in percent, by node; {} without metrics. Of several heads the mean too."""
        counts = {name: counter.read() for name, counter in self._counters.items()}
        found = {
            metric: with_means({name: METRICS[metric](each) for name, each in counts.items()})
            for metric in self._metrics
        }
        names = next(iter(found.values()), {})
        return {name: {metric: found[metric][name] for metric in self._metrics} for name in names}
