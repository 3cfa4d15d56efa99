"""A benchmark as text and as JSON."""

import json
from collections.abc import Sequence

from ktgdsl.bench.duration import (
    Pace,
    PredictedWork,
    run_work,
)
from ktgdsl.bench.result import Bench, Machine, Memory, PhaseBench, Spread
from ktgdsl.plan.model import Plan
from ktgdsl.report.bench import (
    bench_json,
    bench_text,
    digits,
    long_time,
    short_time,
    spread_text,
    with_prefix,
)
from tests.plans import tiny_plan


def test_numbers_have_three_digits() -> None:
    assert [digits(n) for n in (4210.4, 999.96, 99.97, 15.23, 1.0, 0.03141)] == [
        "4,210", "1,000", "100", "15.2", "1", "0.0314",
    ]  # fmt: skip
    assert [short_time(n) for n in (2.5, 0.0152, 12.3e-6, 5e-9)] == [
        "2.5 s", "15.2 ms", "12.3 µs", "5 ns",
    ]  # fmt: skip
    assert [with_prefix(n, "B") for n in (0, 12, 1500, 2.5e9)] == [
        "0 B",
        "12 B",
        "1.5 kB",
        "2.5 GB",
    ]
    assert [long_time(n) for n in (5, 7200, 3_600_000)] == ["5 s", "2 h 00 min", "1,000 h"]
    assert spread_text(Spread((0.015, 0.016, 0.017), calls=9)) == (
        "16 ms (15.5 to 16.5 ms, n = 3 of 9 calls each)"
    )


def test_the_whole_text() -> None:
    assert bench_text(by_hand(tiny_plan(["a"]))) == EXPECTED


def test_the_text_has_a_section_for_each_phase() -> None:
    text = bench_text(by_hand(tiny_plan(["a"]), phases=("hints", "distil")))
    for name in ("hints", "distil"):
        assert f"step of phase {name}\n  time           10 ms" in text
        assert f"epoch of phase {name}, besides its steps\n  batch and metrics" in text
    assert "evaluation         100 µs an image, by a\n" in text


def test_what_cannot_be_measured_is_null() -> None:
    found = json.loads(bench_json(by_hand(tiny_plan(["a"]), memory=Memory(None, 0, 0, 5000))))
    assert found["memory"]["peak_bytes"] is None
    assert "not measured" in bench_text(by_hand(tiny_plan(["a"]), memory=Memory(None, 0, 0, 5000)))


def by_hand(
    plan: Plan, memory: Memory | None = None, phases: Sequence[str | None] = (None,)
) -> Bench:
    return Bench(
        plan=plan,
        subject="the spec itself",
        machine=Machine("cpu", "x86_64", 2, "2.11.0", "fp32", "off", "channels_last", "wall time"),
        batch=16,
        phases=tuple(
            PhaseBench(
                name=name,
                step=Spread((0.010, 0.010)),
                limit=Spread((0.008, 0.010)),
                besides=Spread((0.001, 0.001)),
                product=Spread((0.005, 0.005)),
                image={"a": 0.0001},
                operations=500_000_000,
            )
            for name in phases
        ),
        product_operations=1_000_000_000,
        product_what="1024 x 1024 matrices in fp32",
        memory=memory or Memory("resident memory", 100_000_000, 250_000_000, 115_008),
        parts=tuple(PredictedWork(work, Pace(0.1, 0.011, 0.0001)) for work in run_work(plan)),
        expected=None,
    )


EXPECTED = """\
measured
  graph      tiny: the spec itself
  networks   a resnet8; 1 edge
  batch      16 images of 1 x 8 x 8, digits
  device     cpu (x86_64), 2 threads of the CPU
  computing  fp32, channels_last, compile off, torch 2.11.0

step
  time           10 ms (10 to 10 ms, n = 2)
  images         1,600 images/s
  arithmetic     500 MFLOP a step, 50 GFLOP/s
  share of peak  25% (25% to 25%, n = 2)
  peak           200 GFLOP/s, in a product of 1024 x 1024 matrices in fp32
  overhead       1.125 (1.062 to 1.188, n = 2) of the limit
  limit          9 ms (8.5 to 9.5 ms, n = 2)

epoch, besides its steps
  batch and metrics  1 ms (1 to 1 ms, n = 2), a step
  evaluation         100 µs an image, by all nodes

memory
  peak                    250 MB, 100 MB of it before the networks were made
  of                      resident memory
  images of the data set  115 kB as bytes, not in the peak

predicted duration of the run
  training      1 s  1 x 1 epochs
    networks    0 s  made in 100 ms
    steps       1 s  81 steps of 11 ms
    evaluation  0 s  500 images of 100 µs
  all           1 s

Times are medians of wall time, with quartiles and the number n of samples; all take turns in one
process, and ratios are those within a turn.
Images are noise in the shape of the data set, labels are random: no data are trained on.
FLOPs are those of convolutions and matrix products, counted as they run.
The limit is the same networks, each trained alone on the labels, a frozen one only asked; in the
same precision and memory format.
Not in the prediction: starting Python, reading data and images from a disk, writing results.
"""
