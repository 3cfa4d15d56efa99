"""Arguments that point at nodes, layers and phases: what they find, and what is said if not."""

import re
from typing import Any

import pytest

from ktgdsl.lowering.resolve import Resolver
from ktgdsl.syntax.tree import Reference
from ktgdsl.vocabulary.refs import NodeRef, PhaseRef, Tap
from tests.specs import compiled, graph, sound
from tests.words import H0, found, resolved


class TestValues:
    @pytest.mark.parametrize(
        ("kind", "text", "name", "expected"),
        [
            ("objective", "accuracy(m1)", "of", NodeRef("m1")),
            ("objective", "accuracy(p[0])", "of", NodeRef("p", 0)),
            ("objective", "miou(p[0].colour)", "of", Tap("colour", NodeRef("p", 0))),
            ("network", "ema(a, decay=0.9)", "of", NodeRef("a")),
            ("network", "ema(p[*])", "of", NodeRef("p", "*")),
            ("network", "copy(p[3 - 1])", "of", NodeRef("p", 2)),
            ("network", "ensemble(h)", "members", [NodeRef("h")]),
            ("network", "ensemble(a, h[0])", "members", [NodeRef("a"), H0]),
            ("network", "ensemble(a, h, combine=sum)", "members", [NodeRef("a"), NodeRef("h")]),
            ("network", "ensemble(members=[a, h[*]])", "members",
             [NodeRef("a"), NodeRef("h", "*")]),
            ("combine", "gated(by=h[0].stage2)", "by", Tap("stage2", H0)),
            ("combine", "gated(a.stem)", "by", Tap("stem", NodeRef("a"))),
            ("combine", 'gated(a."layer1.0.conv1")', "by", Tap("layer1.0.conv1", NodeRef("a"))),
            ("loss", "fsp(with=stage2)", "with", Tap("stage2")),
            ("loss", 'fsp("layer1.0.conv1")', "with", Tap("layer1.0.conv1")),
            ("loss", 'irg(taps=[stage1, "node"])', "taps", [Tap("stage1"), Tap("node")]),
            ("gate", "during(hints)", "phases", [PhaseRef("hints")]),
            ("gate", "during(hints, distil)", "phases", [PhaseRef("hints"), PhaseRef("distil")]),
            ("gate", "during(phases=[hints])", "phases", [PhaseRef("hints")]),
        ],
    )  # fmt: skip
    def test_what_arguments_point_at(self, kind: str, text: str, name: str, expected: Any) -> None:
        assert getattr(found(kind, text), name) == expected

    @pytest.mark.parametrize(
        ("kind", "text", "expected", "place"),
        [
            ("objective", "accuracy(1)", "E301 a node is needed here", "1"),
            ("objective", 'accuracy("a")', "E301 a node is needed here", '"a"'),
            ("objective", 'accuracy(a."stem")', "E301 a node is needed here", 'a."stem"'),
            ("objective", "accuracy([a])", "E301 a node is needed here", "[a]"),
            ("objective", "accuracy(a(1))", "E301 a node is needed here", "a(1)"),
            ("objective", "accuracy(p[0.5])", "E301 a node is needed here", "p[0.5]"),
            ("objective", "accuracy(p[true])", "E301 a node is needed here", "p[true]"),
            ("objective", "accuracy(p[x])", "E201 nothing that has a value is called `x`", "x"),
            ("network", "ensemble(a, 2)", "E301 a node is needed here", "2"),
            ("network", "ensemble([a])", "E301 a node is needed here", "[a]"),
            ("network", "ensemble(members=a)", "E301 a list is needed here, even of one", "a"),
            ("network", "ensemble(members=[])",
             "E302 `members` of `ensemble` must have at least 1 item", "[]"),
            ("network", "ensemble(a, members=[b])",
             "E209 `members` of `ensemble` is given twice", "members"),
            ("network", "ensemble(combine=sum)", "E208 `ensemble` needs `members`",
             "ensemble(combine=sum)"),
            ("network", "ensemble(a, combine=kl)",
             "E301 `kl` is a loss, and a combine is needed here", "kl"),
            ("combine", "gated(by=stage2)", "E301 a place inside of a node is needed here",
             "stage2"),
            ("combine", "gated(by=h[0])", "E301 a place inside of a node is needed here", "h[0]"),
            ("combine", "gated(by=h[true].stem)", "E301 a place inside of a node is needed here",
             "h[true].stem"),
            ("combine", 'gated(by=h."")', "E301 a place inside of a node is needed here", 'h.""'),
            ("loss", "fsp(with=a.stage2)", "E301 a layer is needed here", "a.stage2"),
            ("loss", "fsp(with=2)", "E301 a layer is needed here", "2"),
            ("loss", 'fsp(with="")', "E301 a layer is needed here", '""'),
            ("loss", "irg(taps=stage1)", "E301 a list is needed here, even of one", "stage1"),
            ("loss", "irg(taps=[stem, stage1, stem])",
             "E302 `taps` of `irg` must name `stem` only once", "[stem, stage1, stem]"),
            ("gate", "during()", "E208 `during` needs `phases`", "during()"),
            ("gate", "during(hints, 1)", "E301 a phase is needed here", "1"),
            ("gate", 'during("hints")', "E301 a phase is needed here", '"hints"'),
        ],
    )  # fmt: skip
    def test_what_points_at_nothing(self, kind: str, text: str, expected: str, place: str) -> None:
        resolver = Resolver({})
        assert resolved(kind, text, resolver) is None
        (said,) = resolver.diagnostics
        assert f"{said.code} {said.message}" == expected
        assert said.span is not None
        assert text[said.span.start : said.span.end] == place

    def test_an_open_value_is_none_and_nothing_is_said(self) -> None:
        resolver = Resolver({})
        assert resolved("gate", "during(hints | distil)", resolver) is None
        assert resolver.diagnostics == []

    def test_each_node_is_shown_to_the_check(self) -> None:
        seen: list[Reference] = []
        resolver = Resolver({})
        resolver.node_check = seen.append
        text = "ensemble(a, h[*], combine=gated(by=h[0].stage2))"
        assert resolved("network", text, resolver) is not None
        assert sorted((node.name, node.index is None, node.tap) for node in seen) == [
            ("a", True, None), ("h", False, None), ("h", False, None),
        ]  # fmt: skip
        assert {text[node.span.start : node.span.end] for node in seen} >= {"a", "h[*]"}

    def test_what_the_check_complains_about_is_not_used(self) -> None:
        resolver = Resolver({})
        resolver.node_check = lambda node: resolver.complain("E201", "no such node", node.span)
        assert resolved("objective", "accuracy(zz)", resolver) is None
        assert [each.message for each in resolver.diagnostics] == ["no such node"]

    @pytest.mark.parametrize(
        ("text", "help_"),
        [
            ("during(distill)", "did you mean `distil`?"),
            (
                "during(hints, xyzzy)",
                "`phase xyzzy { learn = [a] }` declares it; there are `hints`, `distil`",
            ),
        ],
    )
    def test_a_phase_that_there_is_not(self, text: str, help_: str) -> None:
        resolver = Resolver({})
        resolver.phases = ["hints", "distil"]
        assert resolved("gate", "during(hints, distil)", resolver) is not None
        assert resolved("gate", text, resolver) is None
        (said,) = resolver.diagnostics
        name = re.findall(r"\w+", text)[-1]
        assert (said.code, said.message) == ("E201", f"there is no phase called `{name}`")
        assert said.help == help_

    def test_a_phase_that_may_be_in_what_did_not_parse(self) -> None:
        resolver = Resolver({}, frozenset({"lost"}))
        resolver.phases = []
        assert resolved("gate", "during(lost)", resolver) is None
        assert resolver.diagnostics == []


def spec(
    network: str = "",
    loss: str = "",
    gate: str = "",
    phase: str = "",
    objective: str = "",
    taps: bool = False,
) -> str:
    """A sound spec but for what is given; with `taps` it joins places inside of networks."""
    at = ".stage1" if taps else ""
    nodes = ["node a, b = resnet8", "node h[2] = resnet8"]
    edges = ["edge label -> a, b, h", "edge h -> a"]
    if network:
        nodes.append(f"node e = {network}")
        edges += ["edge label -> e", "edge e -> a"] if "gated" in network else ["edge e -> a"]
    told = f" : {loss or 'kl'}{f' via {gate}' if gate else ''}"
    edges.append(f"edge b{at} -> a{at}{told}")
    phases = []
    if gate or phase:
        learn = phase or "learn = [a]"
        phases = ["phase hints { learn = [a, b, h] }", f"phase distil {{ {learn} }}"]
    search = f"search {{ objective = {objective} }}" if objective else ""
    return graph("\n".join([*nodes, "target a", *edges]), "\n".join([*phases, search]))


class TestSpecs:
    """The same in whole specs, where it is known which nodes, layers and phases there are."""

    @pytest.mark.parametrize(
        "text",
        [
            spec(),
            spec(network="ensemble(h, combine=gated(by=h[0].stage2))"),
            spec(network='ensemble(a, h[1], combine=gated(by=h[0]."stage2.0"))'),
            spec(network="ema(b)"),
            spec(network="copy(h[1], every=9)"),
            spec(gate="during(hints)"),
            spec(gate="during(hints, distil)"),
            spec(phase="learn = [h[*], a, b]"),
            spec(loss="fsp(with=stage2)", taps=True),
            spec(loss='irg(taps=[stage1, "stage2.0"])'),
        ],
    )
    def test_nothing_is_wrong(self, text: str) -> None:
        assert [each.message for each in compiled(text).diagnostics] == []
        assert sound(text)

    def test_what_it_becomes(self) -> None:
        plan = sound(spec(loss='irg(taps=[stage1, "stage2.0"])', gate="during(hints)"))
        term = next(e for e in plan.graph.edges if e.key == ("b", "a")).terms[0]
        assert str(term.gate) == "during(phases=[hints])"
        assert str(term.parts[0].loss) == (
            'irg(taps=[stage1, "stage2.0"], logits=0.1, distances=5, transforms=5)'
        )

    @pytest.mark.parametrize(
        ("text", "expected", "place", "help_"),
        [
            (spec(network="ensemble(h, combine=gated(by=h))"),
             "E301 a place inside of a node is needed here", "h", "such as `a.stage2`"),
            (spec(network="ensemble(h, combine=gated(by=h[7].stage2))"),
             "E302 there is no `h[7]`", "h[7].stage2", "`h` has `h[0]` to `h[1]`"),
            (spec(network="ensemble(h, combine=gated(by=zz.stage2))"),
             "E201 there is no node called `zz`", "zz.stage2",
             "`node zz = resnet8` declares it; there are `a`, `b`, `h`, `e`"),
            (spec(network="ensemble(h, combine=gated)"), "E208 `gated` needs `by`", "gated",
             "`by`: where the gate looks, such as `h[0].stage2`: the trunk"),
            (spec(network="ema(nobody)"), "E201 there is no node called `nobody`", "nobody",
             "`node nobody = resnet8` declares it; there are `a`, `b`, `h`, `e`"),
            (spec(network="ema(aa)"), "E201 there is no node called `aa`", "aa",
             "did you mean `a`?"),
            (spec(network="ema(h[5])"), "E302 there is no `h[5]`", "h[5]",
             "`h` has `h[0]` to `h[1]`"),
            (spec(network="ensemble(1)"), "E301 a node is needed here", "1",
             "such as `a` or `p[0]`"),
            (spec(network='ensemble(a, "b")'), "E301 a node is needed here", '"b"',
             "leave the quotes out"),
            (spec(network="ensemble([a, b])"), "E301 a node is needed here", "[a, b]",
             "leave the brackets out"),
            (spec(network="ensemble()"), "E208 `ensemble` needs `members`", "ensemble()",
             "`members`: the nodes or arrays to combine"),
            (spec(network="ensemble(members=a)"), "E301 a list is needed here, even of one", "a",
             "such as `[a, b]`"),
            (spec(gate="during(x)"), "E201 there is no phase called `x`", "x",
             "`phase x { learn = [a] }` declares it; there are `hints`, `distil`"),
            (spec(gate="during(hint)"), "E201 there is no phase called `hint`", "hint",
             "did you mean `hints`?"),
            (spec(gate='during("hints")'), "E301 a phase is needed here", '"hints"',
             "leave the quotes out"),
            (spec(gate="during(phases=hints)"), "E301 a list is needed here, even of one",
             "hints", "such as `[hints, distil]`"),
            (spec(gate="during(1)"), "E301 a phase is needed here", "1",
             "its name, as in `phase distil { ... }`"),
            (spec(phase="learn = a"), "E301 a list is needed here, even of one", "a",
             "such as `[a, b]`"),
            (spec(phase="learn = [nobody]"), "E201 there is no node called `nobody`", "nobody",
             "`node nobody = resnet8` declares it; there are `a`, `b`, `h`"),
            (spec(phase="learn = [a.stem]"), "E301 a node is needed here", "a.stem",
             "such as `a` or `p[0]`"),
            (spec(loss="fsp(with=a.stage1)", taps=True), "E301 a layer is needed here",
             "a.stage1", "such as `stage1`, which both networks have"),
            (spec(loss="fsp(with=stagee2)", taps=True),
             "E201 there is no `stagee2` inside of `b`", "fsp(with=stagee2)",
             "did you mean `stage2`?"),
            (spec(loss="irg(taps=stage1)"), "E301 a list is needed here, even of one", "stage1",
             "such as `[stage1, stage2]`"),
            (spec(loss="irg(taps=[stage1, a.stage2])"), "E301 a layer is needed here",
             "a.stage2", "such as `stage1`, which both networks have"),
            (spec(objective="accuracy(m1, on=test)"), "E201 there is no node called `m1`", "m1",
             "`node m1 = resnet8` declares it; there are `a`, `b`, `h`"),
            (spec(objective="accuracy(1)"), "E301 a node is needed here", "1",
             "such as `a` or `p[0]`"),
            (spec(objective="accuracy(a.stem)"), "E412 `a` has no head `stem`",
             "accuracy(a.stem)", "leave it out"),
            (spec(objective="f1(h)"), "E411 the objective is the f1 of one node, not of 2",
             "f1(h)", "such as `f1(a[0])`"),
            (spec(objective="aa"), "E201 there is no objective called `aa`", "aa",
             "there are `accuracy`, `miou`, `f1`, `parameters`, `flops`"),
        ],
    )  # fmt: skip
    def test_what_is_said(self, text: str, expected: str, place: str, help_: str) -> None:
        (said,) = compiled(text).diagnostics
        assert f"{said.code} {said.message}" == expected
        assert said.span is not None
        assert text[said.span.start : said.span.end] == place
        assert said.help == help_
