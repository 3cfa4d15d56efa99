"""Pictures of plans: what is drawn, where, and the text of every format."""

import re
import struct
import sys
from itertools import combinations, pairwise
from math import dist
from pathlib import Path
from xml.etree import ElementTree

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.report.pictures.diagram import Diagram, diagram
from ktgdsl.report.pictures.dot import dot
from ktgdsl.report.pictures.layout import layout
from ktgdsl.report.pictures.mermaid import mermaid
from ktgdsl.report.pictures.shapes import Box, Circle, Curve, Drawing, Text
from ktgdsl.report.pictures.svg import svg
from ktgdsl.searching.result import Finalist, SearchResult
from ktgdsl.training.result import Score
from tests.paths import ROOT
from tests.specs import graph, of, sound
from tests.test_front_end import in_a_fresh_process

PICTURES = ["dml3", "gates"]  # of specs; fashion.svg beside them is a table's

TWO = """
node a = resnet8
node b = wrn10_2
target a
edge label -> a
edge label -> b : ce via linear
edge b -> a : kl via correct
edge a -> b : kl via cutoff
"""
KD = "node s = resnet8 node t = resnet14 target s edge label -> s edge t -> s : kl via 0.9"
FULL = "node m[{n}] = resnet8 target m[0] edge label -> * edge * -> * : kl via correct"


def arrows(drawn: Diagram) -> list[tuple[str, str, str]]:
    """What each arrow joins and its gate, in order."""
    return [(a.source or a.box, a.destination, a.key.gate if a.key else "") for a in drawn.arrows]


def texts(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Text)]


def circles(drawing: Drawing) -> dict[str, Circle]:
    """The circles of the vertices, by what they say when pointed at."""
    return {
        shape.tooltip.partition(":")[0]: shape
        for shape in drawing.shapes
        if isinstance(shape, Circle) and shape.tooltip
    }


class TestDiagram:
    def test_every_live_edge_has_its_gate_and_what_is_cut_off_is_absent(self) -> None:
        assert arrows(diagram(of(TWO))) == [
            ("Label", "a", "through"),
            ("Label", "b", "linear"),
            ("b", "a", "correct"),
        ]

    def test_roles_of_nodes(self) -> None:
        target, teacher = diagram(of(KD)).vertices
        assert (target.name, target.role, target.networks) == ("s", "target", ("resnet8",))
        assert (teacher.name, teacher.role) == ("t", "frozen")

    def test_the_gates_of_the_paper_have_colours_of_their_own(self) -> None:
        one, two = diagram(of(TWO)), diagram(of(KD))
        colours = [{key.gate: key.colour for key in drawn.keys} for drawn in (one, two)]
        assert len(set(colours[0].values())) == 3
        assert colours[0]["through"] == colours[1]["through"]
        assert colours[1]["0.9"] not in colours[0].values()

    def test_colours_are_dark_enough_to_read_on_white(self) -> None:
        names = ["until(10%)", "until(20%)", "until(30%)", "until(40%)", "until(50%)", "0.5"]
        gates = ", ".join(names)
        several = "\n".join(f"edge b[{i}] -> a : kl via {gate}" for i, gate in enumerate(names))
        body = f"node a = resnet8 node b[6] = resnet8 target a edge label -> *\n{several}"
        keys = (*diagram(of(body)).keys, *diagram(of(TWO)).keys)
        assert {key.gate for key in keys} >= set(gates.split(", "))
        for key in keys:
            parts = [int(key.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
            light = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
            luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
            assert 1.05 / (luminance + 0.05) >= 4.5  # WCAG 2.2, 1.4.3

    def test_a_long_gate_has_a_tag(self) -> None:
        body = (
            "node a, b = resnet8 target a edge label -> * "
            "edge b -> a : kl via 0.5 * correct * linear"
        )
        drawn = diagram(of(body))
        assert [(key.tag, key.gate) for key in drawn.keys] == [
            ("through", "through"),
            ("G1", "0.5 * correct * linear"),
        ]
        assert "G1 = 0.5 * correct * linear" in texts(layout(drawn))

    def test_derived_nodes_taps_unary_terms_and_shares(self) -> None:
        body = """
            node h[2] = resnet8
            node e = ensemble(h)
            target h[0]
            share h { layers = [stem] grad = mean }
            edge label -> h
            edge e -> h : kl via linear
            edge h[1].stage2 -> h[0].stage2 : hint via correct
            edge h[1] : entropy via 0.1
        """
        drawn = diagram(of(body))
        assert [(v.name, v.derived) for v in drawn.vertices] == [
            ("h[0]", False),
            ("h[1]", False),
            ("e", True),
        ]
        assert arrows(drawn) == [
            ("Label", "h[0]", "through"),
            ("Label", "h[1]", "through"),
            ("entropy", "h[1]", "0.1"),
            ("e", "h[0]", "linear"),
            ("e", "h[1]", "linear"),
            ("h[1]", "h[0]", "correct"),
            ("h[0]", "e", ""),
            ("h[1]", "e", ""),
        ]
        assert drawn.notes == ("h[0], h[1] share stem (mean of the gradients)",)
        drawing = layout(drawn)
        assert "stage2: correct" in texts(drawing)
        assert drawn.notes[0] in texts(drawing)
        assert circles(drawing)["e"].dashed
        assert not circles(drawing)["h[0]"].dashed

    def test_arguments_of_networks_that_differ(self) -> None:
        networks = {
            "a": "resnet8",
            "b": "resnet(depth=8, width=32)",
            "c": "wrn(10, 2, dropout=0.25)",
            "d": "wrn(10, 2, dropout=0.25)",
            "e": 'torchvision("resnet18", weights="DEFAULT")',
            "f": 'torchvision("resnet18")',
            "g": 'python("nets:net", width=8, classes=10)',
            "h": 'python("nets:net", width=16, classes=10)',
        }
        nodes = " ".join(f"node {name} = {network}" for name, network in networks.items())
        drawn = diagram(sound(graph(f"{nodes} target a edge label, * -> a")))
        assert {vertex.name: vertex.labels for vertex in drawn.vertices} == {
            "a": ("resnet8",),
            "b": ("resnet8", "width=32"),
            "c": ("wrn10_2",),  # which is that of d too
            "d": ("wrn10_2",),
            "e": ("resnet18", "DEFAULT"),
            "f": ("resnet18",),
            "g": ("net", "width=8"),
            "h": ("net", "width=16"),
        }
        assert ">width=32<" in svg(layout(drawn))

    def test_two_views(self) -> None:
        body = "node a = resnet8 target a edge label -> a edge a -> a : kl via linear"
        plan = sound(graph(body, "data digits { views = 2 }"))
        assert arrows(diagram(plan)) == [("Label", "a", "through"), ("other view", "a", "linear")]


class TestSpace:
    def test_all_choices_whatever_the_order_they_are_written_in(self) -> None:
        body = """
            node a = resnet8
            node b = resnet8 | resnet14 | wrn10_2
            target a
            edge label -> * : ce via cutoff | correct | linear
            edge b -> a : kl via linear | cutoff | correct
            edge a -> b : kl via correct | linear
        """
        drawn = diagram(of(body))
        assert arrows(drawn) == [
            ("Label", "a", "through | linear | cutoff"),  # a label is always correct
            ("Label", "b", "through | linear | cutoff"),
            ("b", "a", "linear | correct | cutoff"),
            ("a", "b", "linear | correct"),
        ]
        assert all(key.open for key in drawn.keys)
        assert drawn.vertices[1].networks == ("resnet8", "resnet14", "wrn10_2")
        assert {"?", "?2"} <= set(texts(layout(drawn)))

    def test_open_losses_and_temperatures(self) -> None:
        text = """
        let T = 1 | 2 | 4
        let w = 0.1 .. 0.9
        graph g {
            node a, b, c = resnet8
            target a
            edge label -> * : ce(smoothing=0 | 0.1)
            edge b -> a : w * kl(T=T) + (1 - w) * mse via linear
            edge c -> a : kl(T=T)
            edge a -> b : kl | mse
            edge a -> c : kl(T=0.5 .. 8)
            edge b -> c
        }
        """
        drawn = diagram(sound(text))
        arrows = {(arrow.source, arrow.destination): arrow for arrow in drawn.arrows}
        assert arrows["b", "a"].losses == "(0.1 .. 0.9) * kl(T=1 | 2 | 4) + (0.1 .. 0.9) * mse"
        assert arrows["c", "a"].losses == "kl(T=1 | 2 | 4)"
        assert arrows["a", "b"].losses == "kl | mse"
        assert arrows["a", "c"].losses == "kl(T=0.5 .. 8)"
        assert arrows["b", "c"].losses == ""
        assert {pair for pair, arrow in arrows.items() if not arrow.dashed} == {("b", "c")}
        assert arrows["c", "a"].text == "kl(T=1 | 2 | 4) via through"
        assert arrows["c", "a"].short_text == "through"
        assert drawn.notes[0] == "every edge from the labels: ce(smoothing=0 | 0.1)"
        assert "c → a: kl(T=1 | 2 | 4)" in drawn.notes
        written = svg(layout(drawn))
        assert "a → b: kl | mse" in written
        assert "c -&gt; a: kl(T=1 | 2 | 4) via through" in written

    def test_open_places(self) -> None:
        body = "node a, b = resnet8 target a edge label -> * "
        body += "edge b -> a : irg(taps=[stage1] | [stage2])"
        (arrow,) = (each for each in diagram(of(body)).arrows if each.source == "b")
        assert arrow.losses == "irg(taps=[stage1] | [stage2])"

    def test_a_spec_has_no_open_losses(self) -> None:
        drawn = diagram(sound(graph("node a, b = resnet8 target a edge label -> a edge b -> a")))
        assert drawn.notes == ()
        assert not any(arrow.losses for arrow in drawn.arrows)

    def test_a_range_and_a_number_of_nodes(self) -> None:
        body = """
            node a = resnet8
            node p[1 .. 3] = resnet8
            target a
            edge label -> *
            edge * -> * : kl via through | correct
            edge a -> p[0] : kl via 0.1 .. 1
        """
        drawn = diagram(of(body))
        assert [vertex.name for vertex in drawn.vertices] == ["a", "p[0]", "p[1]", "p[2]"]
        found = {(source, end): gate for source, end, gate in arrows(drawn)}
        assert found.pop(("a", "p[0]")) == "0.1 .. 1"
        between = [gate for (source, _), gate in found.items() if source != "Label"]
        assert between == ["through | correct"] * 11


class TestLayout:
    @pytest.mark.parametrize("n", range(1, 8))
    def test_up_to_seven_nodes_with_all_edges_are_readable(self, n: int) -> None:
        drawing = layout(diagram(of(FULL.format(n=n))))
        nodes = list(circles(drawing).values())
        assert len(nodes) == n
        for one, other in combinations(nodes, 2):
            assert dist(one.centre, other.centre) > 4 * one.radius
        boxes = [shape for shape in drawing.shapes if isinstance(shape, Box)]
        assert len(boxes) == n
        for box in boxes:
            assert all(dist(box.centre, node.centre) > 1.5 * node.radius for node in nodes)
        *gates, above, below = (
            s for s in drawing.shapes if isinstance(s, Text) and s.text in ("correct", "through")
        )
        if n == 1:  # whose legend has one gate
            gates, below = [*gates, above], below
        assert below.at[1] > max(node.centre[1] + node.radius for node in nodes)
        assert len(gates) == n * n
        for one_text, other_text in combinations(gates, 2):
            assert dist(one_text.at, other_text.at) > 1.4 * one_text.size
        for text in gates:  # near the head of its arrow, and outside of every circle
            assert 1.4 * nodes[0].radius < min(dist(text.at, c.centre) for c in nodes)
            assert min(dist(text.at, c.centre) for c in nodes) < 2.2 * nodes[0].radius
            assert -90 <= text.angle <= 90
        for shape in drawing.shapes:
            if isinstance(shape, Text):
                assert 0 < shape.at[0] < drawing.width
                assert 0 < shape.at[1] < drawing.height

    def test_both_directions_stand_apart_and_one_alone_is_straight(self) -> None:
        def bends(body: str) -> list[float]:
            curves = [s for s in layout(diagram(of(body))).shapes if isinstance(s, Curve)]
            found = []
            for (ax, ay), (bx, by), (cx, cy) in (c.points for c in curves if "->" in c.tooltip):
                found.append((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
            return found

        one_way, *_ = bends("node a, b = resnet8 target a edge label -> b edge b -> a")
        assert one_way == pytest.approx(0, abs=1e-6)
        there, back, *_ = bends("node a, b = resnet8 target a edge a <-> b edge label -> a")
        assert there == pytest.approx(back)
        assert abs(there) > 1000

    def test_accuracies_are_in_brackets(self) -> None:
        drawing = layout(diagram(of(TWO), {"a": "72.88 ± 0.41", "b": "74.60"}))
        assert {"(72.88 ± 0.41)", "(74.60)"} <= set(texts(drawing))


MERMAID = """\
flowchart LR
    n1(("a<br/>resnet8<br/>(99.00)")):::target
    n2(("b<br/>wrn10_2")):::auxiliary
    s0(["Label"]) -->|"through"| n1
    s1(["Label"]) -->|"linear"| n2
    n2 -->|"correct"| n1
    linkStyle 0 stroke:#333333,color:#333333
    linkStyle 1 stroke:#0072B2,color:#0072B2
    linkStyle 2 stroke:#C04F00,color:#C04F00
    classDef auxiliary fill:#FFFFFF,stroke:#222222,color:#222222
    classDef target fill:#C8281E,stroke:#8E1510,color:#FFFFFF
"""

DOT = """\
digraph "g" {
    node [fontname="Helvetica" fontsize=11]
    edge [fontname="Helvetica" fontsize=10]
    "s" [label="s\\nresnet8" shape=circle style="filled" fillcolor="#C8281E" color="#8E1510" \
fontcolor="#FFFFFF"]
    "t" [label="t\\nresnet14" shape=circle style="filled" fillcolor="#CFE3F5" color="#1F5FA8" \
fontcolor="#222222"]
    "beside 0" [label="Label" shape=box style=rounded color="#222222"]
    "beside 0" -> "s" [label="through" color="#333333" fontcolor="#333333" \
tooltip="label -> s: ce(smoothing=0) via through"]
    "t" -> "s" [label="0.9" color="#8A3D8F" fontcolor="#8A3D8F" \
tooltip="t -> s: kl(T=1, scale=1) via 0.9"]
}
"""


class TestFormats:
    def test_mermaid(self) -> None:
        assert mermaid(diagram(of(TWO), {"a": "99.00"})) == MERMAID

    def test_dot(self) -> None:
        assert dot(diagram(of(KD))) == DOT

    def test_quotes_in_names_of_networks(self) -> None:
        body = 'node a = python("nets:make", name="<#>") target a edge label -> a'
        drawn = diagram(of(body))
        assert "name=#quot;#lt;#35;>#quot;" in mermaid(drawn)
        assert r"name=\"<#>\"" in dot(drawn)
        ElementTree.fromstring(svg(layout(drawn)))

    def test_svg_is_xml_that_says_each_edge_in_full(self) -> None:
        root = ElementTree.fromstring(svg(layout(diagram(of(KD)))))
        name = "{http://www.w3.org/2000/svg}"
        told = [title.text for title in root.iter(f"{name}title")]
        assert told == [
            "g",
            "t -> s: kl(T=1, scale=1) via 0.9",
            "label -> s: ce(smoothing=0) via through",
            "s: resnet8",
            "t: resnet14",
        ]
        shown = [text.text for text in root.iter(f"{name}text")]
        assert {"s", "t", "Label", "through", "0.9", "target", "frozen"} <= set(shown)

    @pytest.mark.parametrize("name", PICTURES)
    def test_the_shipped_pictures_are_what_the_command_draws(
        self, name: str, tmp_path: Path
    ) -> None:
        out = tmp_path / "x.svg"
        assert cli.main(["graph", str(ROOT / "specs" / f"{name}.ktg"), "-o", str(out)]) == 0
        assert out.read_bytes() == (ROOT / "specs" / "pictures" / f"{name}.svg").read_bytes()

    def test_the_readme_shows_them(self) -> None:
        shown = re.findall(r"\]\(specs/pictures/(\w+)\.svg\)", (ROOT / "README.md").read_text())
        assert sorted(shown) == sorted([*PICTURES, "fashion"])


def written(tmp_path: Path, body: str) -> str:
    path = tmp_path / "spec.ktg"
    path.write_text(graph(body))
    return str(path)


class TestCommand:
    def test_without_a_file_it_prints_mermaid(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["graph", written(tmp_path, TWO)]) == 0
        out, _ = capsys.readouterr()
        assert out == MERMAID.replace("<br/>(99.00)", "")

    def test_png_has_two_pixels_a_point(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        out = tmp_path / "x.png"
        assert cli.main(["graph", written(tmp_path, TWO), "-o", str(out)]) == 0
        content = out.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        size = struct.unpack(">II", content[16:24])
        drawing = layout(diagram(of(TWO)))
        assert size == pytest.approx((2 * drawing.width, 2 * drawing.height), abs=2)

    def test_png_without_matplotlib(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        out = tmp_path / "x.png"
        assert cli.main(["graph", written(tmp_path, TWO), "-o", str(out)]) == 1
        err = capsys.readouterr().err
        assert "error[E504]: a PNG needs matplotlib, which is not installed" in err
        assert "help: pip install matplotlib, or ktgdsl with [plot]; or write an SVG, " in err
        assert not out.exists()

    @pytest.mark.parametrize("name", ["x.pdf", "x", "svg"])
    def test_another_format(
        self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit, match="2"):
            cli.main(["graph", written(tmp_path, TWO), "-o", name])
        assert ".svg, .png, .mmd or .dot" in capsys.readouterr().err

    def test_a_file_that_cannot_be_written(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = str(tmp_path / "none" / "x.svg")
        assert cli.main(["graph", written(tmp_path, TWO), "-o", out]) == 1
        assert f"error[E001]: `{out}` cannot be written" in capsys.readouterr().err

    def test_many_nodes_are_for_the_text_formats(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ring = "\n".join(f"edge p[{i}] -> p[{j}]" for i, j in pairwise([*range(256), 0]))
        spec = written(tmp_path, f"node p[256] = resnet8 target p[0] edge label -> p\n{ring}")
        assert cli.main(["graph", spec, "-o", str(tmp_path / "x.svg")]) == 1
        assert "error[E504]: a drawing has room for 24 nodes" in capsys.readouterr().err
        for name, arrow in (("x.mmd", "-->"), ("x.dot", "->")):
            out = tmp_path / name
            assert cli.main(["graph", spec, "-o", str(out)]) == 0
            lines = out.read_text().splitlines()
            assert sum(f" {arrow}" in line.partition("tooltip")[0] for line in lines) == 512

    def test_a_mistake_in_the_spec(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["graph", written(tmp_path, "node a = resnt8 target a")]) == 1
        assert "error[E201]" in capsys.readouterr().err


RESULT = """{"target": "a", "digest": "0", "seeds": [0, 1], "epochs": 1, "seconds": 1.0, "nodes": {
"a": {"accuracy": {"mean": 72.876, "std": 0.414, "runs": [72.5, 73.2]}},
"b": {"accuracy": {"mean": 74.6, "std": 0.141, "runs": [74.5, 74.7]}}}}"""


class TestRun:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "plan.json").write_text(of(TWO).to_json())
        (tmp_path / "result.json").write_text(RESULT)
        return tmp_path

    def test_accuracies(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["graph", str(folder)]) == 0
        out = capsys.readouterr().out
        assert '"a<br/>resnet8<br/>(72.88 ± 0.41)"' in out
        assert '"b<br/>wrn10_2<br/>(74.60 ± 0.14)"' in out

    def test_a_run_under_way_has_none(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "result.json").unlink()
        assert cli.main(["graph", str(folder)]) == 0
        assert '"a<br/>resnet8"' in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("plan.json", None, "is not the folder of a run: it has no plan.json"),
            ("plan.json", "{}", "plan.json cannot be read: it is damaged, or of another version"),
            ("result.json", "[1]", "result.json cannot be read: it is damaged"),
        ],
    )
    def test_a_folder_that_is_none(
        self,
        folder: Path,
        name: str,
        content: str | None,
        message: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(content)
        assert cli.main(["graph", str(folder)]) == 1
        err = capsys.readouterr().err
        assert "error[E502]" in err
        assert message in err

    def test_it_is_drawn_as_it_is(self, folder: Path) -> None:
        assert cli.main(["graph", str(folder), "--epochs", "3"]) == 2

    def test_of_a_search_it_is_the_space(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        plan = ktgdsl.load(ROOT / "specs" / "space.ktg")
        (folder / "plan.json").write_text(plan.to_json())
        assert cli.main(["graph", str(folder)]) == 0
        assert '|"through | linear | correct | cutoff"|' in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("further", "told"), [(None, "97.25"), ((97.0, 96.0, 98.0), "97.00 ± 1.00")]
    )
    def test_of_a_search_it_is_the_best_graph(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        further: tuple[float, ...] | None,
        told: str,
    ) -> None:
        """With the accuracy of its target, where the search is over."""
        space = "graph g { node a, b = resnet8 target a edge b -> a via correct | cutoff }"
        plan = ktgdsl.loads(f"{space}\ndata digits\nsearch {{ trials = 4 }}")
        (tmp_path / "plan.json").write_text(plan.to_json())
        (tmp_path / "best.ktg").write_text(space.replace("| cutoff", "") + "\ndata digits")
        assert cli.main(["graph", str(tmp_path)]) == 0
        drawn = capsys.readouterr().out
        assert '|"correct"|' in drawn
        assert '"a<br/>resnet8"' in drawn
        best = Finalist(
            trial=3, value=97.25, epochs=4, seed=1, digest="", canonical_digest="",
            spec="top/01.ktg", confirmed=None if further is None else Score.of(further),
        )  # fmt: skip
        result = SearchResult(
            folder=tmp_path, target="a", finalists=(best,), complete=True, trials=4,
            states={"complete": 4}, baselines={}, validation_samples=400, epochs=4,
            epochs_trained=16, seconds=1.0, exhausted=False,
        )  # fmt: skip
        (tmp_path / "result.json").write_text(result.to_json())
        assert cli.main(["graph", str(tmp_path)]) == 0
        drawn = capsys.readouterr().out
        assert f'"a<br/>resnet8<br/>({told})"' in drawn
        assert '"b<br/>resnet8"' in drawn


def test_neither_torch_nor_matplotlib_for_an_svg(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(of(TWO).to_json())
    (tmp_path / "result.json").write_text(RESULT)
    found = in_a_fresh_process(
        "from ktgdsl.cli import main as cli\n"
        f"for what in ('specs/space.ktg', {str(tmp_path)!r}):\n"
        f"    assert cli.main(['graph', what, '-o', {str(tmp_path / 'x.svg')!r}]) == 0\n"
        "found['modules'] = list(sys.modules)"
    )
    modules = found["modules"]
    assert isinstance(modules, list)
    never = {"torch", "torchvision", "optuna", "numpy", "rich", "safetensors", "matplotlib"}
    assert not {module.partition(".")[0] for module in modules} & never
