"""The metrics that a training can measure after each epoch, besides the accuracy."""

from typing import Literal

Metric = Literal["top5", "f1", "ece", "miou"]
"""Top-5 accuracy, macro F1, expected calibration error and mean intersection over union:
`ktgdsl.measures.classification`."""
