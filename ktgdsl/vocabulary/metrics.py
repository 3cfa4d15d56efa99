"""What a training measures besides the accuracy, after each epoch."""

from typing import Literal

Metric = Literal["top5", "f1", "ece"]
"""Top-5 accuracy, macro F1, and expected calibration error: `ktgdsl.measures.classification`."""
