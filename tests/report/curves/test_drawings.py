"""Charts as they are drawn: axes, lines of text, shapes."""

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.report.curves.axis import epoch_axis, value_axis
from ktgdsl.report.curves.charts import Chart, PhaseSpan
from ktgdsl.report.curves.drawing import COLOURS, chart_drawing
from ktgdsl.report.curves.series import Point, Series
from ktgdsl.report.curves.terminal import ASCII, BRAILLE, HEIGHT, Glyphs, terminal_chart
from ktgdsl.report.pictures.shapes import Circle, Line, Polygon, Text
from ktgdsl.report.pictures.svg import svg
from tests.cli.test_terminals import HOSTILE, RAW
from tests.report.recorded import write_run


def curve(name: str, *values: float, std: float | None = None, first: int = 1) -> Series:
    points = enumerate(values, start=first)
    return Series(name, tuple(Point(e, value, std, 1 if std is None else 3) for e, value in points))


def text_of(chart: Chart, width: int = 60, glyphs: Glyphs = ASCII) -> list[str]:
    return [
        "".join(text for text, _ in line).rstrip() for line in terminal_chart(chart, width, glyphs)
    ]


RISING = Chart("accuracy, %", (curve("one", 20.0, 40.0, 60.0), curve("two", 60.0, 60.0, 60.0)))


class TestAxis:
    def test_values_have_round_ticks_that_hold_them(self) -> None:
        axis = value_axis(Chart("", (curve("x", 61.3, 98.9),), bounds=(0.0, 100.0)), most=5)
        assert axis.texts == ("60", "70", "80", "90", "100")
        axis = value_axis(Chart("", (curve("x", 0.26, 0.74),)), most=3)
        assert axis.texts == ("0.25", "0.50", "0.75")

    def test_an_axis_goes_to_no_impossible_value(self) -> None:
        shares = Chart("", (curve("x", 1.0, 1.0),), bounds=(0.0, 1.0))
        axis = value_axis(shares, most=5)
        assert (axis.low, axis.high) == (0.0, 1.0)
        spread = Chart("", (curve("x", 99.0, 99.5, std=3.0),), bounds=(0.0, 100.0))
        axis = value_axis(spread, most=5)
        assert axis.high == 100.0
        assert axis.place(102.5) == 1.0

    def test_a_loss_may_be_less_than_nothing(self) -> None:
        axis = value_axis(Chart("", (curve("x", 1.0, -2.0),), bounds=(0.0, None)), most=5)
        assert axis.low <= -2.0
        spread = Chart("", (curve("x", 1.0, 2.0, std=3.0),), bounds=(0.0, None))
        assert value_axis(spread, most=5).low == 0.0

    def test_a_loss_over_orders_of_magnitude_is_logarithmic(self) -> None:
        axis = value_axis(Chart("", (curve("x", 2.0, 0.02, 0.004),), bounds=(0.0, None)), most=5)
        assert axis.logarithmic
        assert axis.texts == ("0.01", "0.1", "1")
        assert axis.place(0.02) - axis.place(0.002) == pytest.approx(
            axis.place(2) - axis.place(0.2)
        )
        assert not value_axis(Chart("", (curve("x", 2.0, 0.0),), bounds=(0.0, None)), 5).logarithmic

    def test_epochs_are_whole_numbers(self) -> None:
        for last in (1, 2, 3, 7, 40, 200, 1234):
            chart = Chart("", (curve("x", *[1.0] * last),))
            ticks = epoch_axis(chart, most=6).ticks
            assert ticks[0] == 1
            assert ticks[-1] == last
            assert all(tick == int(tick) for tick in ticks)
            assert all(one < other for one, other in pairwise(ticks))
            assert len(ticks) <= 8


class TestTerminal:
    def test_shows_curves_axes_and_what_was_reached(self) -> None:
        title, *plot, axis, ticks, head, one, two = text_of(RISING, width=30)
        assert title == "accuracy, %"
        assert len(plot) == HEIGHT
        assert plot[0].startswith("  60 +")
        assert plot[-1].startswith("  20 +")
        assert axis == "     ++-----------+----------+"
        assert ticks.split() == ["epoch", "1", "2", "3"]
        assert head == "after epoch 3"
        assert one.split() == ["o", "one", "60.00"]
        assert two.split() == ["t", "two", "60.00"]
        assert any("o" in line for line in plot[4:])
        assert "t" in plot[0]

    @pytest.mark.parametrize("width", [80, 60, 30])
    @pytest.mark.parametrize("glyphs", [BRAILLE, ASCII])
    def test_no_line_is_wider_than_the_terminal(self, width: int, glyphs: Glyphs) -> None:
        names = "a name that goes on and on", "another one that is as long"
        curves = tuple(curve(name, 1.0, 2.0, std=0.5) for name in names)
        chart = Chart("test accuracy of a node, %", curves, (PhaseSpan("hints", 1, 1),))
        lines = text_of(chart, width, glyphs)
        assert max(map(len, lines)) <= width
        assert all(line.isascii() for line in lines) == (glyphs is ASCII)

    def test_phases_stand_over_their_epochs(self) -> None:
        phases = PhaseSpan("hints", 1, 2), PhaseSpan("distil", 3, 3)
        chart = Chart("loss", RISING.series, phases)
        _, names, first, *_ = text_of(chart)
        assert names.split() == ["hints", "distil"]
        assert first.index(":") in range(names.index("distil") - 2, names.index("distil"))

    def test_a_spread_is_loose_dots_about_the_mean(self) -> None:
        with_spread = Chart("", (curve("x", 50.0, 50.0, std=20.0),))
        rows = [line for line in text_of(with_spread, glyphs=BRAILLE) if "│" in line or "┤" in line]
        drawn = [row for row in rows if any("\u2800" < char <= "\u28ff" for char in row)]
        assert len(drawn) == 3  # the mean, and one deviation on either side
        assert text_of(with_spread)[-1].split()[-3:] == ["50.00", "+-", "20.00"]

    def test_curves_that_end_at_other_epochs_say_when(self) -> None:
        chart = Chart("", (curve("x", 1.0, 2.0), curve("y", 1.0, std=0.1)))
        x, y = text_of(chart)[-2:]
        assert x.split() == ["x", "2.00", "after", "epoch", "2"]
        assert y.split() == ["y", "1.00", "+-", "0.10", "after", "epoch", "1,", "n", "=", "3"]

    def test_a_letter_is_the_first_of_a_name_where_these_differ(self) -> None:
        assert text_of(RISING)[-1].split()[0] == "t"
        same = Chart("", (curve("run1", 1.0), curve("run2", 1.0)))
        assert [line.split()[0] for line in text_of(same)[-2:]] == ["a", "b"]


class TestShapes:
    def test_every_epoch_says_its_value(self) -> None:
        chart = Chart("accuracy", (curve("x", 50.0, 60.0, std=2.0),))
        shapes = chart_drawing(chart).shapes
        tips = [shape.tooltip for shape in shapes if isinstance(shape, Circle)]
        assert tips == ["x, epoch 1: 50.00 ± 2.00 (n = 3)", "x, epoch 2: 60.00 ± 2.00 (n = 3)"]
        (band,) = [shape for shape in shapes if isinstance(shape, Polygon)]
        assert len(band.corners) == 4
        (line,) = [shape for shape in shapes if isinstance(shape, Line) and shape.tooltip]
        assert line.points[0][1] > line.points[1][1]  # downwards is less

    def test_names_at_the_ends_of_curves_do_not_overlap(self) -> None:
        chart = Chart("", tuple(curve(f"run {n}", 1.0, 2.0 + n / 1000) for n in range(12)))
        drawing = chart_drawing(chart)
        labels = [s for s in drawing.shapes if isinstance(s, Text) and s.text.startswith("run")]
        heights = sorted(label.at[1] for label in labels)
        assert all(below - above > 10 for above, below in pairwise(heights))
        assert heights[0] > 0
        assert heights[-1] < drawing.height
        # The ninth has the first colour again, and is dashed.
        lines = [s for s in drawing.shapes if isinstance(s, Line) and s.tooltip]
        assert (lines[8].stroke, lines[8].dashed) == (COLOURS[0], True)
        assert not lines[0].dashed

    def test_hostile_names_are_escaped(self) -> None:
        chart = Chart(HOSTILE, (curve(HOSTILE, 1.0),), (PhaseSpan(HOSTILE, 1, 1),))
        written = svg(chart_drawing(chart))
        ElementTree.fromstring(written)
        assert not RAW.search(written)
        assert not any(RAW.search(line) for line in text_of(chart))


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_curves_go_to_a_file(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", {"a": [[60.0, 70.0]], "b": [[50.0, 55.0]]})
    out = tmp_path / f"x{suffix}"
    assert cli.main(["curves", str(tmp_path / "run"), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    content = out.read_bytes()
    if suffix == ".png":
        pytest.importorskip("matplotlib")
        assert content.startswith(b"\x89PNG")
    else:
        shown = re.findall("<text[^>]*>([^<]*)</text>", content.decode())
        assert {"test accuracy, %", "loss", "a", "b", "epoch"} <= set(shown)


def test_curves_through_a_pipe_have_no_colour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    write_run(tmp_path / "run", {"a": [[60.0, 70.0]], "b": [[50.0, 55.0]]})
    assert cli.main(["curves", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count("after epoch 2") == 2
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert cli.main(["curves", str(tmp_path / "run")]) == 0
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured).split() == shown.split()
