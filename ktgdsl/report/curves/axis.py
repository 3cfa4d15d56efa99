"""Axes of charts: ranges that begin and end at round numbers, and the ticks between."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ktgdsl.report.curves.charts import Chart

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_FROM = 50.0
"""Values above 0 that differ by this factor or more have a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """Where values are, from 0 at its low end to 1 at its high end; ticks, and their texts."""

    low: float
    high: float
    ticks: tuple[float, ...]
    texts: tuple[str, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value is; one beyond an end, as the bound of a spread may be, is at that end."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def value_axis(chart: Chart, most: int) -> Axis:
    """The axis of the values of a chart, with about `most` ticks."""
    points = [point for each in (*chart.series, *chart.background) for point in each.points]
    low, high = min(each.low for each in points), max(each.high for each in points)
    least, greatest = min(each.mean for each in points), max(each.mean for each in points)
    floor, ceiling = chart.bounds  # which a spread may go beyond, and is cut there
    low = low if floor is None else max(low, min(floor, least))
    high = high if ceiling is None else min(high, max(ceiling, greatest))
    if least > 0 and high / least >= _LOG_FROM and ceiling is None:
        return _logarithmic(least, high)
    if low == high:
        if (floor, ceiling) == (0, 1):  # of a share the whole says more than a piece
            return _linear(0.0, 1.0, most)
        margin = abs(low) * 0.1 or 0.5
        low, high = low - margin, high + margin
        low = low if floor is None else max(low, floor)
        high = high if ceiling is None else min(high, ceiling)
    return _linear(low, high, most)


def number_axis(values: Sequence[float], most: int) -> Axis:
    """The axis of numbers from 0 on, such as those of parameters: `75k`, `1.2M`."""
    low, high = min(values), max(values)
    if low > 0 and high / low >= _LOG_FROM:
        axis = _logarithmic(low, high)
    else:
        margin = 0.0 if high > low else high * 0.1 or 0.5
        axis = _linear(max(0.0, low - margin), high + margin, most)
    return replace(axis, texts=tuple(map(_short, axis.ticks)))


def _short(number: float) -> str:
    power = min(4, int(math.log(number, 1000) + 1e-9)) if number >= 1 else 0
    return f"{number / 1000**power:.4g}{('', 'k', 'M', 'G', 'T')[power]}"


def _linear(low: float, high: float, most: int) -> Axis:
    """From a round number to another, with about `most` ticks."""
    step = _round_step((high - low) / max(1, most - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(step * number for number in range(first, last + 1))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += not math.isclose(step, round(step, digits))  # of 0.25
    return Axis(ticks[0], ticks[-1], ticks, tuple(f"{tick:.{digits}f}" for tick in ticks))


def _logarithmic(low: float, high: float) -> Axis:
    """From a round number to another; ticks at powers of ten, or at more where these are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    start = max(step for step in steps if step <= low * (1 + 1e-9))
    end = min(step for step in steps if step >= high * (1 - 1e-9))
    tens = [10.0**power for power in powers if start <= 10.0**power <= end]
    ticks = tens if len(tens) > 2 else [step for step in steps if start <= step <= end]
    return Axis(start, end, tuple(ticks), tuple(f"{tick:g}" for tick in ticks), logarithmic=True)


def epoch_axis(chart: Chart, most: int) -> Axis:
    """The axis of the epochs: the first, the last and at most about `most` round ones between."""
    first, last = chart.epochs
    if first == last:
        return Axis(first - 1, last + 1, (first,), (f"{first}",))
    step = max(1, round(_round_step((last - first) / max(1, most - 1))))
    between = [
        tick for tick in range(step, last, step) if first + step / 2 <= tick <= last - step / 2
    ]
    ticks = (first, *between, last)
    return Axis(first, last, ticks, tuple(f"{tick:,}" for tick in ticks))


def _round_step(step: float) -> float:
    """The next round number."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(each for each in _ROUND if each >= step / power - 1e-9)
