"""Optimisers and learning rates of a script."""

import inspect
from collections.abc import Mapping
from fractions import Fraction
from itertools import groupby
from typing import Any

from torch.optim import SGD, Adam, AdamW

from ktgdsl.plan.model import Call
from ktgdsl.program.model import Learner
from ktgdsl.standalone.source import Definitions
from ktgdsl.standalone.text import literal, options
from ktgdsl.training.schedules import Clock

OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
"""torch's classes, by the words of the vocabulary."""


def optimizers_code(learners: list[tuple[Learner, str]], used: Definitions) -> list[str]:
    """Statements that put an optimiser of each learner into `optimizers`.

    Args:
        learners: with an expression of their parameters, in which `name` is the learner.
        used: gets what they use.
    """
    lines = ["optimizers = {}"]
    made = [((_settings(each, used), text), each.name) for each, text in learners]
    for (settings, text), group in groupby(made, key=lambda each: each[0]):
        found = [name for _, name in group]
        if len(found) > 1:
            lines.append(f"for name in {literal(tuple(found))}:")
            lines.append(f"    optimizers[name] = {_call(text, settings)}")
        else:
            own = text.replace("[name]", f"[{literal(found[0])}]")
            lines.append(f"optimizers[{literal(found[0])}] = {_call(own, settings)}")
    return lines


def _call(parameters: str, settings: tuple[str, str]) -> str:
    kind, arguments = settings
    return f"{kind}({parameters}, {arguments})"


def _settings(learner: Learner, used: Definitions) -> tuple[str, str]:
    kind = OPTIMIZERS[learner.optimizer.name]
    used.imports.add(f"from torch.optim import {kind.__name__}")
    defaults = inspect.signature(kind).parameters
    found = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in learner.optimizer.arguments.items()
    }
    told = {n: v for n, v in found.items() if n == "lr" or v != defaults[n].default}
    return kind.__name__, options({**told, "fused": True})


def rate_code(learner: Learner, steps_per_epoch: int, steps: int, used: Definitions) -> str | None:
    """The learning rate of step `k`, counted from 1, as an expression; None where it never changes.

    It has the operations of `ktgdsl.training.schedules.learning_rate` in their order.
    """
    schedule = learner.schedule
    clock = Clock(steps_per_epoch, steps)
    factor = _factor(schedule, clock, used)
    warmup = clock.in_steps(schedule.arguments["warmup"])
    if factor is None and not warmup:
        return None
    rate = repr(learner.optimizer.arguments["lr"])
    if factor is not None:
        rate += f" * {factor}"
    if warmup:
        rate += f" * min(1, {_ratio('k', warmup, used)})"
    return rate


def _factor(schedule: Call, clock: Clock, used: Definitions) -> str | None:
    arguments: Mapping[str, Any] = schedule.arguments
    match schedule.name:
        case "step":
            every = _number(clock.in_steps(arguments["every"]), used)
            return f"{arguments['gamma']!r} ** ((k - 1) // {every})"
        case "multistep":
            at = [_number(clock.in_steps(each), used) for each in arguments["at"]]
            return f"{arguments['gamma']!r} ** sum(k - 1 >= each for each in [{', '.join(at)}])"
        case "exponential":
            return f"{arguments['gamma']!r} ** ((k - 1) // {clock.steps_per_epoch})"
        case "cosine":
            used.imports.add("import math")
            done = "(k - 1)"
            if arguments.get("by") == "epoch":
                done = f"((k - 1) // {clock.steps_per_epoch} * {clock.steps_per_epoch})"
            wave = f"(1 + math.cos(math.pi * {done} / {clock.steps})) / 2"
            least = arguments["minimum"]
            return f"({wave})" if least == 0 else f"({least!r} + {1 - least!r} * {wave})"
    return None


def _number(value: Fraction, used: Definitions) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    used.imports.add("from fractions import Fraction")
    return repr(value)


def _ratio(number: str, whole: Fraction, used: Definitions) -> str:
    """A quotient, rounded once."""
    if whole.denominator == 1:
        return f"{number} / {whole.numerator}"
    return f"float({number} / {_number(whole, used)})"
