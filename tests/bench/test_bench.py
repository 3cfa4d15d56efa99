"""`ktgc bench`: what is measured and predicted for a spec, what is printed, and mistakes."""

import json
from pathlib import Path

import pytest
import torch

from ktgdsl.bench.bench import bench
from ktgdsl.bench.phases import started
from ktgdsl.bench.timing import Stopwatch
from ktgdsl.cli import main as cli
from ktgdsl.plan.model import Edge
from tests.bench.specs import ALONE, PHASES, SPACE, alone, benched, written
from tests.plans import edge, tiny_plan

CPU = torch.device("cpu")


class TestMeasured:
    def test_a_spec(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = benched([alone(), "--repeats", "2", "--epochs", "3"], capsys)
        assert found["networks"] == {"a": 'python("nets:linear")'}
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
        assert before["what"] == 'pre-training of t (python("nets:wide"))'
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

    def test_each_phase_is_measured(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = benched([written("phases.ktg", PHASES)], capsys)
        first, second = found["phases"]
        assert (first["name"], second["name"]) == ("teach", "study")
        assert "step" not in found
        linear, wide = 640, 64 * 100 + 1000
        # Weights of the first layer have a gradient, images have none.
        assert first["flop_per_step"] == 2 * 16 * (3 * wide - 64 * 100)
        assert second["flop_per_step"] == 2 * 16 * (2 * linear + wide)
        parts = {part["what"]: part for part in found["prediction"]["parts"]}
        assert list(parts) == ["phase teach", "phase study", "evaluation of all nodes at the end"]
        teach, study, end = parts.values()
        assert (teach["epochs_each"], study["epochs_each"], end["epochs_each"]) == (2, 3, 0)
        assert teach["start_s_each"] > study["start_s_each"] == 0
        steps = 3 * 81 * (second["step"]["median_s"] + second["batch_and_metrics"]["median_s"])
        assert study["steps_s"] == pytest.approx(steps)
        assert end["images_evaluated_at_end"] == 500
        whole = sum(part["seconds"] for part in parts.values())
        assert found["prediction"]["seconds"] == pytest.approx(whole)

    def test_a_space_with_phases(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = PHASES.replace("kl via", "kl | mse via") + "search { trials = 2  epochs = 2 }"
        found = benched([written("space.ktg", text)], capsys)
        parts = {part["what"]: part for part in found["prediction"]["parts"]}
        judging = "trainings to judge the result, phase "
        assert list(parts) == [
            "trials, phase teach", "trials, phase study", f"{judging}teach", f"{judging}study",
        ]  # fmt: skip
        trained = sum(p["epochs_each"] for name, p in parts.items() if name.startswith("trials"))
        assert 2 * trained == pytest.approx(found["prediction"]["trial_epochs"])

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
        made, start = started(plan, Stopwatch(CPU), CPU, lambda _: None)
        assert made.step.execution.compile.value == "on"
        assert 99 < start < 199


class TestPrinted:
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
