"""A benchmark as text in columns and as JSON. Every number has its unit."""

import json
from textwrap import wrap
from typing import Any

from ktgdsl.bench.duration import PredictedWork
from ktgdsl.bench.result import ONE_THREAD, Bench, PhaseBench, Spread
from ktgdsl.report.describe import section
from ktgdsl.report.formatting import duration
from ktgdsl.report.run_text import network_text
from ktgdsl.vocabulary.networks import shorthand

WIDTH = 100
TIME_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
PREFIXES = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))


def bench_text(bench: Bench, width: int = WIDTH) -> str:
    """The numbers in sections, and what they rest on in lines of up to `width` columns."""
    parts = [
        section("measured", _measured(bench)),
        *(part for phase in bench.phases for part in _phase(bench, phase)),
        section("memory", _memory(bench)),
        section(f"predicted duration of the {_what(bench)}", _predicted(bench)),
        "\n".join(line for note in notes(bench) for line in wrap(note, min(width, WIDTH))),
    ]
    return "\n\n".join(parts) + "\n"


def notes(bench: Bench) -> list[str]:
    """Notes on how the numbers were measured, and on what they leave out."""
    lines = [
        f"Times are medians of {bench.machine.clock}, with quartiles and the number n of samples; "
        "all take turns in one process, and ratios are those within a turn.",
        "Images are noise in the shape of the data set, labels are random: no data are trained on.",
        "FLOPs are those of convolutions and matrix products, counted as they run.",
        "The limit is the same networks, each trained alone on the labels, a frozen one only "
        f"asked; {'not compiled, and ' * (bench.machine.compile == 'on')}in the same precision "
        "and memory format.",
        "Not in the prediction: starting Python, reading data and images from a disk, writing "
        "results.",
    ]
    if bench.machine.clock == ONE_THREAD:
        lines.append(
            "CPU time does not pass while other work has the core: beside it all of this "
            "takes longer."
        )
    if any(part.work.what.startswith("pre-training") for part in bench.parts):
        lines.append("A pre-training whose weights are kept from before takes no time.")
    if bench.plan.may_stop:
        lines.append("What may end early, by `stop`, is taken to have all its epochs.")
    if bench.expected is not None:
        lines.append("The search is taken to have one worker, and its pruner is simulated.")
    return lines


def bench_json(bench: Bench) -> str:
    """An object; keys end in the unit of their number, and what cannot be measured is null."""
    memory = bench.memory
    facts: dict[str, Any] = {
        "graph": bench.plan.graph.name,
        "digest": bench.plan.digest,
        "subject": bench.subject,
        "networks": {node.name: shorthand(node.network) for node in bench.plan.graph.nodes},
        "frozen": [node.name for node in bench.plan.graph.nodes if not node.learns],
        "edges": len(bench.plan.graph.edges),
        "batch_images": bench.batch,
        "image_shape": list(bench.plan.data.shape),
        "machine": {
            "device": bench.machine.device,
            "name": bench.machine.name,
            "threads": bench.machine.threads,
            "torch": bench.machine.torch,
            "precision": bench.machine.precision,
            "compile": bench.machine.compile,
            "memory_format": bench.machine.memory_format,
            "clock": bench.machine.clock,
        },
        **_phases(bench),
        "memory": {
            "what": memory.what,
            "peak_bytes": memory.peak if memory.what else None,
            "before_bytes": memory.before if memory.what else None,
            "data_bytes": memory.images,
        },
        "prediction": {
            "of": _what(bench),
            "seconds": bench.seconds,
            "parts": [_part(each) for each in bench.parts],
        },
        "notes": notes(bench),
    }
    if bench.expected is not None:
        facts["prediction"] |= {
            "trials": bench.expected.trials,
            "complete_trials": bench.expected.complete,
            "trial_epochs": bench.expected.epochs,
        }
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _phases(bench: Bench) -> dict[str, Any]:
    """The numbers of a training without phases, or under `phases` those of each."""
    numbers = [_numbers(bench, phase) for phase in bench.phases]
    if bench.phases[0].name is None:
        return numbers[0]
    names = [phase.name for phase in bench.phases]
    return {"phases": [{"name": n, **each} for n, each in zip(names, numbers, strict=True)]}


def _numbers(bench: Bench, phase: PhaseBench) -> dict[str, Any]:
    return {
        "step": _plain(phase.step),
        "images_per_s": bench.images_per_second(phase),
        "flop_per_step": phase.operations,
        "flop_per_s": phase.rate,
        "peak": {
            "what": bench.product_what,
            "flop": bench.product_operations,
            **_plain(phase.product),
            "flop_per_s": bench.peak_rate(phase),
        },
        "share_of_peak": _ratio(bench.share(phase)),
        "limit": _plain(phase.limit),
        "overhead": _ratio(phase.overhead),
        "batch_and_metrics": _plain(phase.besides),
        "evaluation_s_per_image": phase.evaluation,
    }


def _plain(spread: Spread) -> dict[str, Any]:
    return {
        "median_s": spread.median,
        "quartile_1_s": spread.quartiles[0],
        "quartile_3_s": spread.quartiles[1],
        "samples": len(spread.samples),
        "calls_per_sample": spread.calls,
    }


def _ratio(spread: Spread) -> dict[str, Any]:
    """The JSON of a spread of ratios, which have no unit."""
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


def _measured(bench: Bench) -> list[tuple[str, str]]:
    plan, machine = bench.plan, bench.machine
    networks = [
        f"{node.name} {shorthand(node.network)}{'' if node.learns else ' (frozen)'}"
        for node in plan.graph.nodes
    ]
    networks += [f"{each.name} {network_text(each)}" for each in plan.graph.followers]
    nodes = ", ".join(networks)
    edges = len(plan.graph.edges)
    shape = " x ".join(map(str, plan.data.shape))
    threads = f"{machine.threads} thread{'s' * (machine.threads != 1)}"
    return [
        ("graph", f"{plan.graph.name}: {bench.subject}"),
        ("networks", f"{nodes}; {edges} edge{'s' * (edges != 1)}"),
        ("batch", f"{bench.batch} images of {shape}, {plan.data.source}"),
        ("device", f"{machine.device} ({machine.name}), {threads} of the CPU"),
        (
            "computing",
            f"{machine.precision}, {machine.memory_format}, compile {machine.compile}, "
            f"torch {machine.torch}",
        ),
    ]


def _phase(bench: Bench, phase: PhaseBench) -> tuple[str, str]:
    if phase.name is None:
        what, nodes = "", "all nodes"
    else:
        what, nodes = f" of phase {phase.name}", ", ".join(phase.image)
    return (
        section(f"step{what}", _step(bench, phase)),
        section(f"epoch{what}, besides its steps", _outside_steps(phase, nodes)),
    )


def _step(bench: Bench, phase: PhaseBench) -> list[tuple[str, str]]:
    n = len(phase.step.samples)
    share = bench.share(phase)
    low, high = share.quartiles
    overhead, (least, most) = phase.overhead, phase.overhead.quartiles
    rate = with_prefix(phase.rate, "FLOP/s")
    peak = with_prefix(bench.peak_rate(phase), "FLOP/s")
    return [
        ("time", spread_text(phase.step)),
        ("images", f"{digits(bench.images_per_second(phase))} images/s"),
        ("arithmetic", f"{with_prefix(phase.operations, 'FLOP')} a step, {rate}"),
        ("share of peak", f"{share.median:.0%} ({low:.0%} to {high:.0%}, n = {n})"),
        ("peak", f"{peak}, in a product of {bench.product_what}"),
        ("overhead", f"{overhead.median:.3f} ({least:.3f} to {most:.3f}, n = {n}) of the limit"),
        ("limit", spread_text(phase.limit)),
    ]


def _outside_steps(phase: PhaseBench, nodes: str) -> list[tuple[str, str]]:
    return [
        ("batch and metrics", f"{spread_text(phase.besides)}, a step"),
        ("evaluation", f"{short_time(phase.evaluation)} an image, by {nodes}"),
    ]


def _memory(bench: Bench) -> list[tuple[str, str]]:
    memory = bench.memory
    images = (
        "images of the data set",
        f"{with_prefix(memory.images, 'B')} as bytes, not in the peak",
    )
    if memory.what is None:
        return [("peak", "not measured on this device"), images]
    before = f"{with_prefix(memory.before, 'B')} of it before the networks were made"
    return [("peak", f"{with_prefix(memory.peak, 'B')}, {before}"), ("of", memory.what), images]


def _predicted(bench: Bench) -> list[tuple[str, str, str]]:
    rows = []
    for part in bench.parts:
        work, pace = part.work, part.pace
        epochs = work.count * work.epochs
        images = epochs * work.images + work.count * work.last
        mean = "" if work.epochs == round(work.epochs) else " in the mean"
        what = f"{work.count:,} x {digits(work.epochs)} epochs{mean}" if epochs else ""
        steps = _times(epochs * work.steps, "step", pace.step)
        rows.append((work.what, long_time(part.seconds), what))
        if pace.start:
            rows.append(("  networks", long_time(part.making), f"made in {short_time(pace.start)}"))
        if epochs:
            rows.append(("  steps", long_time(part.stepping), steps))
        evaluations = _times(images, "image", pace.image)
        rows.append(("  evaluation", long_time(part.evaluating), evaluations))
    return [*rows, ("all", long_time(bench.seconds), "")]


def _times(count: float, what: str, seconds: float) -> str:
    return f"{count:,.0f} {what}s of {short_time(seconds)}"


def _what(bench: Bench) -> str:
    return "run" if bench.expected is None else "search"


def spread_text(spread: Spread) -> str:
    """Median, quartiles and n: `15.2 ms (14.9 to 15.8 ms, n = 120)`."""
    unit, size = _unit(spread.median, TIME_UNITS)
    low, high = (digits(each / size) for each in spread.quartiles)
    calls = f" of {spread.calls} calls each" if spread.calls > 1 else ""
    middle = digits(spread.median / size)
    return f"{middle} {unit} ({low} to {high} {unit}, n = {len(spread.samples)}{calls})"


def long_time(seconds: float) -> str:
    """A duration; of many hours without the minutes."""
    return f"{seconds / 3600:,.0f} h" if seconds >= 360_000 else duration(seconds)


def short_time(seconds: float) -> str:
    """A short time: `12.3 µs`."""
    unit, size = _unit(seconds, TIME_UNITS)
    return f"{digits(seconds / size)} {unit}"


def with_prefix(number: float, unit: str) -> str:
    """A large number with a prefix: `857 MFLOP`."""
    prefix, size = _unit(number, PREFIXES)
    return f"{digits(number / size)} {prefix}{unit}"


def digits(number: float) -> str:
    """Three significant digits, and all of what is before the point: `4,210`, `15.2`, `0.031`."""
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"


def _unit(number: float, units: tuple[tuple[str, float], ...]) -> tuple[str, float]:
    return next((each for each in units if number >= each[1]), units[-1])
