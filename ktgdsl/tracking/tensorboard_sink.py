"""Logs to TensorBoard: event files in `tensorboard/seed-0` in the folder of a run."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from ktgdsl.tracking.logged_run import LoggedRun, Row, State
from ktgdsl.tracking.sink import Sink, Writer

FOLDER = "tensorboard"


class TensorboardSink(Sink):
    """The writer is that of `torch.utils.tensorboard`."""

    def __init__(self) -> None:
        import torch.utils.tensorboard  # noqa: F401 (fails before the training, not after it)

    def begin(self, run: LoggedRun) -> Writer:
        """Write the events anew, but for a trial that goes on."""
        folder = run.folder / FOLDER / run.key
        if run.rebuilt or run.epoch == 0:
            for events in folder.glob("events.out.tfevents.*"):
                events.unlink()
        return _TensorboardWriter(run, str(folder))


class _TensorboardWriter(Writer):
    def __init__(self, run: LoggedRun, folder: str) -> None:
        from torch.utils.tensorboard import SummaryWriter, summary

        self._run = run
        self.epoch = 0 if run.rebuilt else run.epoch
        open_writer: Any = SummaryWriter
        self._writer = open_writer(folder)
        # The tab "hparams" compares the runs below a folder by these.
        make: Any = summary.hparams
        *begun, self._ended = make(dict(run.parameters), {run.goal: 0.0})
        for each in begun:
            self._writer.file_writer.add_summary(each)
        self._writer.flush()

    def attach(self) -> None:
        run = self._run
        self._writer.add_text("spec", f"```\n{run.text}\n```")
        about = {**run.parameters, **run.tags}
        rows = (f"| `{name}` | {_cell(text)} |" for name, text in about.items())
        self._writer.add_text("about", "\n".join(["| | |", "|---|---|", *rows]))
        if (png := run.picture(".png")) is not None:
            self._writer.add_image("graph", _pixels(png), dataformats="HWC")

    def log(self, row: Row) -> None:
        for name, value in row.values.items():
            self._writer.add_scalar(name, value, row.epoch)
        if (number := self._run.phase_number(row)) is not None:
            self._writer.add_scalar("phase", number, row.epoch)
        self._writer.flush()

    def end(self, state: State, summary: Mapping[str, float], notes: Mapping[str, str]) -> None:
        for name, value in summary.items():
            self._writer.add_scalar(name, value, self.epoch)
        rows = [f"- {name}: {_cell(text)}" for name, text in {"state": state, **notes}.items()]
        self._writer.add_text("end", "\n".join(rows))
        self._writer.file_writer.add_summary(self._ended)
        self._writer.close()


def _cell(text: str) -> str:
    """A text as code in Markdown: nothing in it is markup, and it ends no cell."""
    flat = " ".join(text.split()).replace("|", "\\|")
    return f"`` {flat} ``" if "`" in flat else f"`{flat}`"


def _pixels(png: bytes) -> Any:
    """An array (H, W, 3) of bytes."""
    import numpy
    from PIL import Image

    with Image.open(BytesIO(png)) as image:
        return numpy.asarray(image.convert("RGB"))
