"""A benchmark for people, as columns, and for programs, as JSON. Every number has its unit."""

import json
from textwrap import wrap
from typing import Any

from ktgdsl.bench.duration import PredictedWork
from ktgdsl.bench.result import ONE_THREAD, Bench, Spread
from ktgdsl.report.describe import section
from ktgdsl.report.formatting import duration
from ktgdsl.vocabulary.networks import shortest

WIDTH = 100
SMALL = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
LARGE = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))


def text(found: Bench) -> str:
    """The numbers in sections, and what they rest on."""
    parts = [
        section("measured", _measured(found)),
        section("step", _step(found)),
        section("epoch, besides its steps", _besides(found)),
        section("memory", _memory(found)),
        section(f"predicted duration of the {_what(found)}", _predicted(found)),
        "\n".join(line for note in notes(found) for line in wrap(note, WIDTH)),
    ]
    return "\n\n".join(parts) + "\n"


def notes(found: Bench) -> list[str]:
    """What the numbers are of, and what is not in them."""
    told = [
        f"Times are medians of {found.machine.clock}, with quartiles and the number n of samples; "
        "all take turns in one process, and ratios are those within a turn.",
        "Images are noise in the shape of the data set, labels are random: no data are trained on.",
        "FLOPs are those of convolutions and matrix products, counted as they run.",
        "The limit is the same networks, each trained alone on the labels, a frozen one only "
        f"asked; {'not compiled, and ' * (found.machine.compile == 'on')}in the same precision "
        "and memory format.",
        "Not in the prediction: starting Python, reading data and images from a disk, writing "
        "results.",
    ]
    if found.machine.clock == ONE_THREAD:
        told.append(
            "CPU time does not pass while other work has the core: beside it all of this "
            "takes longer."
        )
    if any(part.work.what.startswith("pre-training") for part in found.parts):
        told.append("A pre-training whose weights are kept from before takes no time.")
    if found.expected is not None:
        told.append("The search is taken to have one worker, and its pruner is simulated.")
    return told


def as_json(found: Bench) -> str:
    """An object; keys end in the unit of their number, and what cannot be measured is null."""
    held = found.memory
    facts: dict[str, Any] = {
        "graph": found.plan.graph.name,
        "digest": found.plan.digest,
        "subject": found.subject,
        "networks": {node.name: shortest(node.network) for node in found.plan.graph.nodes},
        "frozen": [node.name for node in found.plan.graph.nodes if not node.learns],
        "edges": len(found.plan.graph.edges),
        "batch_images": found.batch,
        "image_shape": list(found.plan.data.shape),
        "machine": {
            "device": found.machine.device,
            "name": found.machine.name,
            "threads": found.machine.threads,
            "torch": found.machine.torch,
            "precision": found.machine.precision,
            "compile": found.machine.compile,
            "memory_format": found.machine.memory_format,
            "clock": found.machine.clock,
        },
        "step": _plain(found.step),
        "images_per_s": found.images_per_second,
        "flop_per_step": found.operations,
        "flop_per_s": found.rate,
        "peak": {
            "what": found.product_what,
            "flop": found.product_operations,
            **_plain(found.product),
            "flop_per_s": found.peak_rate,
        },
        "share_of_peak": _ratio(found.share),
        "limit": _plain(found.limit),
        "overhead": _ratio(found.overhead),
        "batch_and_metrics": _plain(found.besides),
        "evaluation_s_per_image": found.evaluation,
        "memory": {
            "what": held.what,
            "peak_bytes": held.peak if held.what else None,
            "before_bytes": held.before if held.what else None,
            "data_bytes": held.images,
        },
        "prediction": {
            "of": _what(found),
            "seconds": found.seconds,
            "parts": [_part(each) for each in found.parts],
        },
        "notes": notes(found),
    }
    if found.expected is not None:
        facts["prediction"] |= {
            "trials": found.expected.trials,
            "complete_trials": found.expected.complete,
            "trial_epochs": found.expected.epochs,
        }
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(spread: Spread) -> dict[str, Any]:
    return {
        "median_s": spread.median,
        "quartile_1_s": spread.quartiles[0],
        "quartile_3_s": spread.quartiles[1],
        "samples": len(spread.samples),
        "calls_per_sample": spread.calls,
    }


def _ratio(spread: Spread) -> dict[str, Any]:
    """Of ratios, which have no unit."""
    low, high = spread.quartiles
    n = len(spread.samples)
    return {"median": spread.median, "quartile_1": low, "quartile_3": high, "samples": n}


def _part(part: PredictedWork) -> dict[str, Any]:
    return {
        "what": part.work.what,
        "count": part.work.count,
        "epochs_each": part.work.epochs,
        "steps_per_epoch": part.work.steps,
        "images_evaluated_per_epoch": part.work.images,
        "images_evaluated_at_end": part.work.last,
        "start_s_each": part.pace.start,
        "step_s": part.pace.step,
        "evaluation_s_per_image": part.pace.image,
        "steps_s": part.stepping,
        "evaluations_s": part.evaluating,
        "seconds": part.seconds,
    }


def _measured(found: Bench) -> list[tuple[str, str]]:
    plan, machine = found.plan, found.machine
    nodes = ", ".join(
        f"{node.name} {shortest(node.network)}{'' if node.learns else ' (frozen)'}"
        for node in plan.graph.nodes
    )
    edges = len(plan.graph.edges)
    shape = " x ".join(map(str, plan.data.shape))
    threads = f"{machine.threads} thread{'s' * (machine.threads != 1)}"
    return [
        ("graph", f"{plan.graph.name}: {found.subject}"),
        ("networks", f"{nodes}; {edges} edge{'s' * (edges != 1)}"),
        ("batch", f"{found.batch} images of {shape}, {plan.data.source.name}"),
        ("device", f"{machine.device} ({machine.name}), {threads} of the CPU"),
        (
            "computing",
            f"{machine.precision}, {machine.memory_format}, compile {machine.compile}, "
            f"torch {machine.torch}",
        ),
    ]


def _step(found: Bench) -> list[tuple[str, str]]:
    n = len(found.step.samples)
    share, (low, high) = found.share, found.share.quartiles
    over, (least, most) = found.overhead, found.overhead.quartiles
    rate, peak = large(found.rate, "FLOP/s"), large(found.peak_rate, "FLOP/s")
    return [
        ("time", spread(found.step)),
        ("images", f"{digits(found.images_per_second)} images/s"),
        ("arithmetic", f"{large(found.operations, 'FLOP')} a step, {rate}"),
        ("share of peak", f"{share.median:.0%} ({low:.0%} to {high:.0%}, n = {n})"),
        ("peak", f"{peak}, in a product of {found.product_what}"),
        ("overhead", f"{over.median:.3f} ({least:.3f} to {most:.3f}, n = {n}) of the limit"),
        ("limit", spread(found.limit)),
    ]


def _besides(found: Bench) -> list[tuple[str, str]]:
    return [
        ("batch and metrics", f"{spread(found.besides)}, a step"),
        ("evaluation", f"{small(found.evaluation)} an image, by all nodes"),
    ]


def _memory(found: Bench) -> list[tuple[str, str]]:
    held = found.memory
    images = ("images of the data set", f"{large(held.images, 'B')} as bytes, not in the peak")
    if held.what is None:
        return [("peak", "not measured on this device"), images]
    before = f"{large(held.before, 'B')} of it before the networks were made"
    return [("peak", f"{large(held.peak, 'B')}, {before}"), ("of", held.what), images]


def _predicted(found: Bench) -> list[tuple[str, str, str]]:
    rows = []
    for part in found.parts:
        work, pace = part.work, part.pace
        epochs = work.count * work.epochs
        images = epochs * work.images + work.count * work.last
        mean = "" if work.epochs == round(work.epochs) else " in the mean"
        rows += [
            (work.what, long(part.seconds), f"{work.count:,} x {digits(work.epochs)} epochs{mean}"),
            ("  networks", long(part.making), f"made in {small(pace.start)}"),
            ("  steps", long(part.stepping), _times(epochs * work.steps, "step", pace.step)),
            ("  evaluation", long(part.evaluating), _times(images, "image", pace.image)),
        ]
    return [*rows, ("all", long(found.seconds), "")]


def _times(count: float, what: str, seconds: float) -> str:
    return f"{count:,.0f} {what}s of {small(seconds)}"


def _what(found: Bench) -> str:
    return "run" if found.expected is None else "search"


def spread(found: Spread) -> str:
    """Median, quartiles and n: `15.2 ms (14.9 to 15.8 ms, n = 120)`."""
    unit, size = _unit(found.median, SMALL)
    low, high = (digits(each / size) for each in found.quartiles)
    calls = f" of {found.calls} calls each" if found.calls > 1 else ""
    middle = digits(found.median / size)
    return f"{middle} {unit} ({low} to {high} {unit}, n = {len(found.samples)}{calls})"


def long(seconds: float) -> str:
    """A duration; of many hours without the minutes."""
    return f"{seconds / 3600:,.0f} h" if seconds >= 360_000 else duration(seconds)


def small(seconds: float) -> str:
    """A short time: `12.3 µs`."""
    unit, size = _unit(seconds, SMALL)
    return f"{digits(seconds / size)} {unit}"


def large(number: float, unit: str) -> str:
    """A large number with a prefix: `857 MFLOP`."""
    prefix, size = _unit(number, LARGE)
    return f"{digits(number / size)} {prefix}{unit}"


def digits(number: float) -> str:
    """Three significant digits, and all of what is before the point: `4,210`, `15.2`, `0.031`."""
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"


def _unit(number: float, units: tuple[tuple[str, float], ...]) -> tuple[str, float]:
    return next((each for each in units if number >= each[1]), units[-1])
