"""`ktgc bench`: what is counted and measured, what follows by arithmetic, and what is printed."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import ktgdsl
from ktgdsl.bench import bench as benching
from ktgdsl.bench.bench import bench
from ktgdsl.bench.candidates import limit, peak_precision, product, training
from ktgdsl.bench.duration import (
    Pace,
    PredictedWork,
    Work,
    confirmation_work,
    pretraining_work,
    run_work,
    total,
    trials_work,
)
from ktgdsl.bench.flops import operations
from ktgdsl.bench.result import Bench, Machine, Memory, Spread
from ktgdsl.bench.timing import LONG, Candidate, Stopwatch, time_interleaved
from ktgdsl.bench.workload import choose_workload
from ktgdsl.cli import main as cli
from ktgdsl.plan.model import Edge, Plan
from ktgdsl.report.bench import (
    bench_json,
    bench_text,
    digits,
    long_time,
    short_time,
    spread_text,
    with_prefix,
)
from ktgdsl.searching.estimate import Estimate
from tests.paths import ROOT
from tests.plans import edge, tiny_plan
from tests.specs import sound

DML3 = str(ROOT / "specs" / "dml3.ktg")
CPU = torch.device("cpu")

NETS = """\
from torch import nn


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def wide():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.Linear(100, 10))


def narrow():
    return nn.Sequential(nn.Flatten(), nn.Linear(63, 10))
"""
ALONE = """
graph alone {{ node a = python("nets:{network}") target a edge label -> a }}
data digits {{ batch = 16 }}
"""
SPACE = """
graph space {
    node a = python("nets:linear")
    node b = python("nets:linear") | python("nets:wide")
    target a
    edge label -> *
    edge *     -> * : kl via through | cutoff
}
data digits { batch = 16 validation = 259 }
search { trials = 4 epochs = 3 pruner = none }
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KTGDSL_DATA", str(tmp_path / "data"))
    (tmp_path / "nets.py").write_text(NETS)
    yield
    for name in ("nets", "mine"):
        sys.modules.pop(name, None)


def written(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def alone(network: str = "linear") -> str:
    return written("alone.ktg", ALONE.format(network=network))


def benched(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert cli.main(["bench", *arguments, "--seconds", "0.01", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


class TestArithmetic:
    def test_a_linear_network(self) -> None:
        """Forward, and the gradient of the weights; the images need none. 2 B n m each."""
        plan = ktgdsl.load(alone())
        assert operations(training(plan, CPU).take) == 2 * (2 * 16 * 64 * 10)

    def test_two_linear_networks_and_their_transfer(self) -> None:
        """The losses of two nodes are no matrix products."""
        text = """
        graph two {
            node a, b = python("nets:linear")
            target a
            edge label -> *
            edge *     -> * : kl
        }
        data digits { batch = 16 }
        """
        plan = ktgdsl.load(written("two.ktg", text))
        assert operations(training(plan, CPU).take) == 2 * 2 * (2 * 16 * 64 * 10)

    def test_a_resnet8(self) -> None:
        """Convolutions by hand: 2 B k² C_in C_out H W, three times but for the first.

        Shortcuts have no weights.
        """
        first = 3 * 3 * 1 * 16 * 64
        one = 2 * (3 * 3 * 16 * 16) * 64
        two = (3 * 3 * 16 * 32 + 3 * 3 * 32 * 32) * 16
        three = (3 * 3 * 32 * 64 + 3 * 3 * 64 * 64) * 4
        last = 64 * 10
        expected = 2 * 16 * (2 * first + 3 * (one + two + three + last))
        found = operations(training(tiny_plan(["a"]), CPU).take)
        assert found == expected

    def test_a_frozen_network_is_asked_only(self) -> None:
        """Of the teacher there is a forward; the student has the gradient of its weights too."""
        text = """
        graph kd {
            node s = python("nets:linear")
            node t = python("nets:wide")
            target s
            edge label -> s
            edge t     -> s : kl
        }
        data digits { batch = 16 }
        """
        plan = ktgdsl.load(written("kd.ktg", text))
        asked, learning = 2 * 16 * (64 * 100 + 100 * 10), 2 * (2 * 16 * 64 * 10)
        made = training(plan, CPU)
        assert operations(made.take) == asked + learning
        assert operations(limit(plan, CPU, made.image, made.label).call) == asked + learning

    def test_the_product_is_what_it_says(self) -> None:
        candidate, count, told = product(CPU, torch.float32)
        assert (count, told) == (2 * 1024**3, "1024 x 1024 matrices in fp32")
        assert operations(candidate.call) == count

    @pytest.mark.parametrize(("fast", "best"), [(True, "bf16"), (False, "fp32")])
    def test_the_peak_is_of_a_precision_that_the_machine_has(
        self, fast: bool, best: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ktgdsl.training.execution._bf16_is_fast", lambda _: (fast, ""))
        plan = tiny_plan(precision="bf16")
        dtypes = {"bf16": torch.bfloat16, "fp32": torch.float32}
        assert peak_precision(plan, CPU) == dtypes[best]
        assert peak_precision(tiny_plan(), CPU) == torch.float32


class TestTiming:
    def test_candidates_are_interleaved(self) -> None:
        said: list[str] = []

        def says(name: str, **how: Any) -> Candidate:
            return Candidate(name, lambda: said.append(name), **how)

        both = [says("a"), says("b", samples=1, warmed=False)]
        shares: list[float] = []
        found = time_interleaved(both, Stopwatch(CPU), 1e-9, shares.append)
        # Once each for nothing, then two rounds at least: one more for nothing, and samples.
        assert "".join(said) == "ab" + 2 * "aaab"
        assert {name: len(each.samples) for name, each in found.items()} == {"a": 4, "b": 2}
        assert len(shares) == 2

    def test_the_number_of_rounds_has_an_end(self) -> None:
        found = time_interleaved([Candidate("a", lambda: None)], Stopwatch(CPU), 1e9)
        assert len(found["a"].samples) == 200

    def test_a_long_call_warms_itself(self) -> None:
        class Slow(Stopwatch):
            def time(self, call: Callable[[], object], calls: int = 1) -> float:
                call()
                return 2 * LONG

        said: list[int] = []
        time_interleaved([Candidate("a", lambda: said.append(1))], Slow(CPU), 1e-9)
        assert len(said) == 1 + (1 + 2) + 2

    def test_a_sample_is_long_enough_to_be_waited_for(self) -> None:
        class Waiting(Stopwatch):
            taken = 0.0

            def time(self, call: Callable[[], object], calls: int = 1) -> float:
                return self.taken

        for taken, calls in ((0.001, 20), (0.0030, 7), (0.5, 1), (0.0, 200)):
            watch = Waiting(torch.device("cuda"))  # it is never used
            watch.taken = taken
            assert watch.calls(lambda: None) == calls
        assert Stopwatch(CPU).calls(lambda: None) == 1

    def test_a_gpu_is_waited_for_before_and_after(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said: list[str] = []
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: said.append(str(device)))
        Stopwatch(torch.device("cuda:1")).time(lambda: said.append("call"), calls=2)
        assert said == ["cuda:1", "call", "call", "cuda:1"]

    def test_quartiles_and_ratios_by_hand(self) -> None:
        found = Spread((5.0, 1.0, 2.0, 4.0, 3.0))
        assert (found.median, found.quartiles) == (3.0, (2.0, 4.0))
        assert Spread((1.0, 2.0)).quartiles == (1.25, 1.75)
        # Of each turn: 2 / 1, 9 / 3, 4 / 4.
        assert Spread((2.0, 9.0, 4.0)).over(Spread((1.0, 3.0, 4.0)), 10.0).samples == (20, 30, 10)


class TestPrediction:
    def test_a_part_by_hand(self) -> None:
        work = Work("training", count=3, epochs=10, steps=20, images=500, last=100)
        part = PredictedWork(work, Pace(start=2.0, step=0.5, image=0.01))
        assert part.making == 3 * 2.0
        assert part.stepping == 3 * 10 * 20 * 0.5
        assert part.evaluating == pytest.approx(3 * (10 * 500 + 100) * 0.01)
        assert part.seconds == pytest.approx(6 + 300 + 153)
        assert total([part, part]) == pytest.approx(2 * 459)

    def test_a_run_evaluates_the_test_split(self) -> None:
        plan = tiny_plan(repeats=5, epochs=7, data={"batch": 64})
        assert run_work(plan) == Work("training", 5, 7, 1297 // 64, 500)

    def test_a_split_that_is_held_out_is_evaluated_instead(self) -> None:
        """And the test split once in the end."""
        plan = tiny_plan(epochs=7, data={"batch": 64, "holdout": True})
        assert run_work(plan) == Work("training", 1, 7, (1297 - 259) // 64, 259, last=500)
        assert pretraining_work(plan, "t", 3) == Work("pre-training of t", 3, 7, 16, 259)

    def test_a_search_is_what_was_expected_of_it(self) -> None:
        plan = tiny_plan(epochs=8, data={"batch": 64, "holdout": True})
        expected = Estimate(30, complete=4.0, epochs=75.0, pretrainings=0, checks=2, full=8)
        assert trials_work(plan, expected) == Work("trials", 30, 2.5, 16, 259)
        assert confirmation_work(plan, expected) == Work(
            "trainings to judge the result", 2, 8, 16, 259
        )


class TestWorkload:
    def test_a_spec_is_measured_itself(self) -> None:
        plan = tiny_plan()
        found = choose_workload(plan)
        assert (found.plan, found.pretrainings, found.search) == (plan, (), None)

    def test_equal_teachers_are_pre_trained_once(self) -> None:
        plan = sound("""
        graph g {
            node a = resnet8
            node t, u = resnet14
            node v = wrn10_2
            target a
            edge label, t, u, v -> a
        }
        """)
        found = choose_workload(plan).pretrainings
        assert [what for what, _ in found] == ["t, u (resnet14)", "v (wrn10_2)"]
        assert [each.graph.nodes[0].learns for _, each in found] == [True, True]

    def test_the_graph_of_a_space_is_nearest_to_the_mean(self) -> None:
        """Three networks, each a block larger than the one before."""
        plan = sound("""
        graph g {
            node a = resnet8 | resnet14 | resnet20
            target a
            edge label -> a
        }
        search { trials = 30 epochs = 3 pruner = none }
        """)
        found = choose_workload(plan)
        assert found.plan.space is None
        assert str(found.plan.graph.nodes[0].network) == "resnet(depth=14, stride=1)"
        assert found.plan.train.epochs == 3
        assert found.plan.data.holdout
        assert found.search is not None
        assert found.search.trials == 3


class TestMeasured:
    def test_a_spec(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = benched([alone(), "--repeats", "2", "--epochs", "3"], capsys)
        assert found["networks"] == {"a": 'python(function="nets:linear")'}
        assert (found["batch_images"], found["image_shape"], found["edges"]) == (16, [1, 8, 8], 1)
        assert found["flop_per_step"] == 4 * 16 * 640
        assert found["machine"]["precision"] == "fp32"
        assert found["step"]["samples"] == found["limit"]["samples"] >= 4
        assert found["flop_per_s"] * found["step"]["median_s"] == pytest.approx(4 * 16 * 640)
        assert found["images_per_s"] * found["step"]["median_s"] == pytest.approx(16)
        assert found["memory"]["data_bytes"] == (1297 + 500) * 64
        assert found["memory"]["peak_bytes"] >= found["memory"]["before_bytes"] > 0
        (part,) = found["prediction"]["parts"]
        assert (part["what"], part["count"], part["epochs_each"]) == ("training", 2, 3)
        assert (part["steps_per_epoch"], part["images_evaluated_per_epoch"]) == (1297 // 16, 500)
        steps = 2 * 3 * 81 * (found["step"]["median_s"] + found["batch_and_metrics"]["median_s"])
        evaluations = 2 * 3 * 500 * found["evaluation_s_per_image"]
        assert part["steps_s"] == pytest.approx(steps)
        assert part["evaluations_s"] == pytest.approx(evaluations)
        whole = steps + evaluations + 2 * part["start_s_each"]
        assert found["prediction"]["seconds"] == pytest.approx(whole)
        assert found["prediction"]["of"] == "run"

    def test_every_number_has_a_unit(self, capsys: pytest.CaptureFixture[str]) -> None:
        """By the end of its name; ratios and counts have none."""
        plain = {"edges", "threads", "samples", "calls_per_sample", "median", "quartile_1"}
        plain |= {"quartile_3", "count", "epochs_each", "steps_per_epoch", "image_shape"}
        plain |= {"images_evaluated_per_epoch", "images_evaluated_at_end"}
        units = ("_s", "_bytes", "_images", "_each", "_per_image", "_per_step", "flop", "seconds")

        def numbers(name: str, value: object) -> None:
            if isinstance(value, dict):
                for key, each in value.items():
                    numbers(key, each)
            elif isinstance(value, list):
                for each in value:
                    numbers(name, each)
            elif isinstance(value, int | float):
                assert name in plain or name.endswith(units), name

        numbers("", benched([alone()], capsys))

    def test_a_teacher_is_pre_trained_for_each_seed(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = """
        graph kd {
            node s = python("nets:linear")
            node t = python("nets:wide")
            target s
            edge label -> s
            edge t     -> s : kl
        }
        data digits { batch = 16 }
        train { epochs = 4 repeats = 3 }
        """
        found = benched([written("kd.ktg", text)], capsys)
        before, after = found["prediction"]["parts"]
        assert before["what"] == 'pre-training of t (python(function="nets:wide"))'
        assert (before["count"], before["epochs_each"]) == (3, 4)
        assert (after["what"], after["count"]) == ("training", 3)
        assert found["frozen"] == ["t"]

    def test_a_space(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = benched([written("space.ktg", SPACE)], capsys)
        assert found["subject"].startswith("of 64 points drawn from the space, the graph")
        parts = {part["what"]: part for part in found["prediction"]["parts"]}
        assert found["prediction"]["of"] == "search"
        assert found["prediction"]["trial_epochs"] == 4 * 3
        assert parts["trials"]["count"] == 4
        assert parts["trials"]["images_evaluated_per_epoch"] == 259
        assert parts["trainings to judge the result"]["count"] == 2

    def test_the_data_need_not_be_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = """
        graph g { node a = resnet8 target a edge label -> a }
        data cifar10 { batch = 2 augment = standard }
        """
        found = benched([written("cifar.ktg", text)], capsys)
        assert found["image_shape"] == [3, 32, 32]
        assert not Path("data").exists()

    def test_nothing_is_left_behind(self, capsys: pytest.CaptureFixture[str]) -> None:
        path = alone()
        before = {each.name for each in Path().iterdir()} - {"__pycache__"}
        benched([path], capsys)
        assert {each.name for each in Path().iterdir()} - {"__pycache__"} == before

    def test_data_of_ones_own_are_read_for_their_shape(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("mine.py").write_text(
            "import numpy as np\n"
            "def images(split):\n"
            "    n = 40 if split == 'train' else 10\n"
            "    return np.zeros((n, 1, 8, 8), np.uint8), np.arange(n) % 10\n"
        )
        text = ALONE.format(network="linear").replace("digits", 'python("mine:images")')
        found = benched([written("own.ktg", text)], capsys)
        assert found["memory"]["data_bytes"] == 50 * 64

    def test_a_batch_is_not_larger_than_the_data(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = benched([alone(), "--set", "data.batch=4000"], capsys)
        assert found["batch_images"] == 1297

    def test_compilation_is_part_of_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A compiler that makes nothing faster and takes its time at the first call."""
        monkeypatch.setattr(torch, "compile", lambda turn, **_: turn)
        monkeypatch.setattr("ktgdsl.training.execution._missing_for_compile", lambda _: None)
        seconds = iter([100.0, 1.0])
        monkeypatch.setattr(Stopwatch, "time", lambda self, call, calls=1: next(seconds))
        plan = tiny_plan(["a"], compile="on")
        made, start = benching._started(plan, Stopwatch(CPU), CPU, lambda _: None)
        assert made.step.execution.compile.value == "on"
        assert 99 < start < 199


class TestPrinted:
    def test_numbers_have_three_digits(self) -> None:
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

    def test_the_whole_text(self) -> None:
        assert bench_text(by_hand(tiny_plan(["a"]))) == EXPECTED

    def test_what_cannot_be_measured_is_null(self) -> None:
        found = json.loads(bench_json(by_hand(tiny_plan(["a"]), memory=Memory(None, 0, 0, 5000))))
        assert found["memory"]["peak_bytes"] is None
        assert "not measured" in bench_text(
            by_hand(tiny_plan(["a"]), memory=Memory(None, 0, 0, 5000))
        )

    def test_what_was_measured_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["bench", alone(), "--seconds", "0.01"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        titles = [line for line in out.splitlines() if line and not line.startswith(" ")][:5]
        assert titles == [
            "measured",
            "step",
            "epoch, besides its steps",
            "memory",
            "predicted duration of the run",
        ]

    def test_progress_is_for_terminals_and_on_stderr(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TERM", raising=False)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        assert cli.main(["bench", alone(), "--seconds", "0.01", "--json"]) == 0
        out, err = capsys.readouterr()
        json.loads(out)
        assert "\rmeasuring, 0%" in err.replace("\x1b[K", "")
        assert err.endswith("\r\x1b[K")


def by_hand(plan: Plan, memory: Memory | None = None) -> Bench:
    return Bench(
        plan=plan,
        subject="the spec itself",
        machine=Machine("cpu", "x86_64", 2, "2.11.0", "fp32", "off", "channels_last", "wall time"),
        batch=16,
        step=Spread((0.010, 0.010)),
        limit=Spread((0.008, 0.010)),
        besides=Spread((0.001, 0.001)),
        evaluation=0.0001,
        operations=500_000_000,
        product=Spread((0.005, 0.005)),
        product_operations=1_000_000_000,
        product_what="1024 x 1024 matrices in fp32",
        memory=memory or Memory("resident memory", 100_000_000, 250_000_000, 115_008),
        parts=(PredictedWork(run_work(plan), Pace(0.1, 0.011, 0.0001)),),
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


class TestFailures:
    def refused(self, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
        assert cli.main(["bench", *arguments]) == code
        out, err = capsys.readouterr()
        assert out == ""
        return err

    def test_a_mistake(self, capsys: pytest.CaptureFixture[str]) -> None:
        path = written("typo.ktg", "graph g { node a = resnt8 target a edge label -> a }")
        assert "error[E201]" in self.refused([path], 1, capsys)

    def test_what_is_not_trained_yet(self, capsys: pytest.CaptureFixture[str]) -> None:
        body = "node a, b = resnet8 target a edge label -> * edge b.fc -> a.fc : mse"
        path = written("taps.ktg", f"graph g {{ {body} }}")
        assert "error[" in self.refused([path], 1, capsys)

    def test_the_folder_of_a_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "is a directory" in self.refused(["."], 1, capsys)

    def test_a_setting_that_there_is_not(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "E" in self.refused([alone(), "--set", "train.speed=9"], 2, capsys)

    def test_a_device_that_there_is_not(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "error[E504]" in self.refused([alone(), "--device", "cuda:99"], 1, capsys)

    def test_a_network_that_does_not_fit(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "error[E505]: the network of node `a`" in self.refused([alone("narrow")], 1, capsys)

    def test_own_data_that_are_missing(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = ALONE.format(network="linear").replace("digits", 'folder("nowhere")')
        assert "error[" in self.refused([written("own.ktg", text)], 1, capsys)

    @pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan", "soon"])
    def test_no_time(self, seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["bench", alone(), "--seconds", seconds])
        assert caught.value.code == 2
        assert "--seconds" in capsys.readouterr().err


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_from_python(update: str) -> None:
    pairs: list[Edge | tuple[str, str]] = [("label", "a"), ("label", "b"), edge("a", "b")]
    plan = tiny_plan(["a", "b"], pairs, update=update, data={"augment": "paper"})
    told: list[str] = []
    found = bench(plan, device="cpu", seconds=0.01, progress=told.append)
    assert found.plan == plan
    assert told[:3] == ["looking at the spec", "making the networks", "warming up"]
