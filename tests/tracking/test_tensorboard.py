"""What TensorBoard reads back: the numbers in `metrics.jsonl`, once each, text and a picture."""

from pathlib import Path
from typing import Any

import pytest

from ktgdsl.plan.model import Plan
from ktgdsl.tracking.log import log_to
from ktgdsl.training.events import RunFinished, RunStarted
from tests.tracking.played import begin, play, recorded, result

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.slow]  # TensorBoard's import
pytest.importorskip("tensorboard", reason="tensorboard is not installed")


def events(folder: Path, key: str = "seed-0") -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "tensorboard" / key), {"scalars": 0, "tensors": 0})
    read.Reload()
    return read


def require_recorded(read: Any, plan: Plan, folder: Path) -> None:
    known = recorded(plan, folder)
    names = {name for row in known.values() for name in row}
    for name in names:
        steps = [(event.step, event.value) for event in read.Scalars(name)]
        expected = [(epoch, row[name]) for epoch, row in known.items() if name in row]
        assert steps == [(epoch, pytest.approx(value, rel=1e-6)) for epoch, value in expected]


def test_a_killed_and_resumed_run_is_read_back_whole(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = begin(folder)
    killed = log_to("tensorboard")
    killed(RunStarted(plan, folder, "cpu"))
    play(killed, plan, folder, 1, range(1, 4))
    with log_to("tensorboard") as logging:
        logging(RunStarted(plan, folder, "cpu", 1, 2))
        play(logging, plan, folder, 1, range(3, 5))
        play(logging, plan, folder, 2)
        logging(RunFinished(plan, result(plan, folder)))
    read = events(folder)
    require_recorded(read, plan, folder)
    assert [event.value for event in read.Scalars("phase")] == [1, 1, 2, 2]
    assert read.Scalars("final_test_accuracy/a")[0].value == 60.0
    (text,) = read.Tensors("spec/text_summary")
    assert "node p[2] = resnet8" in text.tensor_proto.string_val[0].decode()
    (about,) = read.Tensors("about/text_summary")
    assert "| `edge t -> a` |" in about.tensor_proto.string_val[0].decode()
    pytest.importorskip("matplotlib")
    (image,) = read.Images("graph")
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert events(folder, "seed-1").Scalars("final_test_accuracy/a")[0].value == 62.0
