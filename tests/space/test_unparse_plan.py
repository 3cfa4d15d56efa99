"""Plans as specs: what is written means the plan again."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ktgdsl
from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.plan.model import Plan
from ktgdsl.space.size import points
from ktgdsl.space.space import every_option, plan_at
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.syntax.format import format_source
from tests.generate import specs
from tests.paths import ROOT
from tests.specs import graph, sound

SPECS = [*sorted(ROOT.glob("specs/**/*.ktg")), *sorted(ROOT.glob("tests/good/*.ktg"))]


def again(plan: Plan, folder: Path) -> Plan:
    """What the plan's own spec means."""
    text = unparse_plan(plan, folder)
    compiled = compile_source(Source("again.ktg", text), folder)
    assert compiled.plan is not None, (text, [d.message for d in compiled.diagnostics])
    formatted, _ = format_source(Source("again.ktg", text))
    assert formatted == text
    return compiled.plan


@pytest.mark.parametrize("path", SPECS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_spec_of_a_plan_means_the_plan(path: Path) -> None:
    plan = compile_source(Source(str(path), path.read_text("utf-8-sig")), path.parent).plan
    if plan is None:
        return  # some of the good ones are good syntax only
    plans = list(every_option(plan))[1:] if plan.space else [plan]
    for each in plans:
        told = again(each, path.parent)
        whole = not any("[" in node.name for node in each.graph.nodes) or plan.space is None
        assert told.canonical_digest == each.canonical_digest
        assert not whole or told.digest == each.digest


DEEPEST = {
    "brackets on the left": "(" * 21 + "correct" + " * linear + 1)" * 21,
    "brackets on the right": "linear * (1 + " * 21 + "correct" + ")" * 21,
    "products in a product": " * ".join(["(linear * correct)"] * 32),
    "`let`s": "g42",
}


@pytest.mark.parametrize("gate", DEEPEST.values(), ids=DEEPEST)
def test_the_deepest_gates_are_specs_and_json(gate: str) -> None:
    lets = "let g0 = correct\n" + "".join(
        f"let g{i + 1} = {'1 +' if i % 2 else 'linear *'} g{i}\n" for i in range(42)
    )
    plan = sound(lets + graph(f"node a, b = resnet8 target a edge label, b -> a : kl via {gate}"))
    assert again(plan, ROOT).digest == plan.digest
    assert Plan.from_json(plan.to_json()) == plan


def test_it_reads_as_a_person_would_write_it() -> None:
    plan = sound(
        """
        let each gate = through | cutoff | linear | correct
        graph g {
            node m1     = resnet8
            node m2, m3 = resnet14
            node t      = wrn16_2 { frozen = true  cache = outputs }
            target m1
            edge label -> *
            edge * -> * : kl(T=4) via 0.5 * correct
            edge m2 -> m1 : 0.9 * kl(T=2) + 0.1 * mse via 1 - linear, js
            edge m3 -> m1 via cutoff
        }
        train { epochs = 7  clip = 2 }
        """
    )
    assert unparse_plan(plan, Path("/nowhere"), ["best of 60 trials"]) == (
        """\
# best of 60 trials

graph g {
    node m1     = resnet8
    node m2, m3 = resnet14
    node t      = wrn16_2 { frozen = true  cache = outputs }
    target m1

    edge label -> *
    edge m1    -> m2, m3     : kl(T=4) via 0.5 * correct
    edge m2    -> m1         : 0.9 * kl(T=2) + 0.1 * mse via 1 - linear, js
    edge m2    -> m3         : kl(T=4) via 0.5 * correct
    edge m3    -> m2         : kl(T=4) via 0.5 * correct
    edge t     -> m1, m2, m3 : kl(T=4) via 0.5 * correct
}

data digits {
    batch = 64
}

train {
    epochs    = 7
    optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.0005)
    schedule  = step(every=30%)
    clip      = 2
}
"""
    )


def test_an_array_whose_nodes_differ_becomes_single_nodes() -> None:
    plan = sound(
        """
        graph g {
            node a = resnet8
            node p[2] = resnet8 | resnet14
            node mix = ensemble(p, combine=gated(by=p[1].stage2))
            target a
            edge label -> *
            edge label -> mix
            edge mix -> a
        }
        """
    )
    chosen = plan_at(plan, {"node.p[1]": 1})
    assert chosen is not None
    text = unparse_plan(chosen, Path("/nowhere"))
    assert "node p_0 = resnet8" not in text  # it stands with its equal
    assert "a, p_0 = resnet8" in text
    assert "ensemble(p_0, p_1, combine=gated(by=p_1.stage2))" in text
    assert again(chosen, Path("/nowhere")).canonical_digest == chosen.canonical_digest


def test_an_even_array_stays_one() -> None:
    plan = sound("graph g { node p[3] = resnet8 target p[0] edge label -> * edge * -> * }")
    text = unparse_plan(plan, Path("/nowhere"))
    assert "node p[3] = resnet8" in text
    assert again(plan, Path("/nowhere")).digest == plan.digest


def test_weights_are_found_from_the_new_place(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "t.safetensors").write_bytes(b"weights")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    text = """
    graph g {
        node a = resnet8
        node t = resnet8 { weights = "t.safetensors" }
        target a
        edge label -> a
        edge t -> a
    }
    """
    plan = compile_source(Source("x.ktg", text), tmp_path).plan
    assert plan is not None
    assert 'weights = "../../t.safetensors"' in unparse_plan(plan, tmp_path / "deep" / "er")
    assert again(plan, tmp_path / "deep" / "er").digest == plan.digest


def test_every_setting_of_train_is_written_as_it_is_read() -> None:
    train = (
        "train { sync_bn = true  clip = 0.5  metrics = [top5]  take = best  stop = patience(2) }"
    )
    plan = sound(
        graph(
            "node a = resnet8 target a edge label -> a", train + " data digits { holdout = true }"
        )
    )
    assert again(plan, ROOT).digest == plan.digest
    assert again(plan, ROOT).train == plan.train


def test_a_space_is_no_spec() -> None:
    plan = sound("graph g { node a = resnet8 | resnet14 target a edge label -> a }")
    with pytest.raises(ValueError, match="open values"):
        unparse_plan(plan, Path("/nowhere"))


RICH = sound(
    """
    let each gate = through | cutoff | linear(1, 0) | 0.5 * correct * until(30%) | (1 - correct)
                  | confident(0.9)
    graph g {
        node a = resnet8
        node b = resnet14 | python("m:f", width=3, act="relu") { keep = true }
        node c = wrn10_2 { optimizer = adamw(lr=0.01 | 0.02)  schedule = cosine(warmup=2) }
        node e = ema(b, decay=0.9)
        target a
        edge label -> * : ce(smoothing=0.1) | ce via gate
        edge * -> * : kl | kl(T=4, scale=2) | dkd(warmup=0) | 0.5 * kl + 2 * mse(on=probabilities)
                      via gate
        edge a : -0.1 * entropy
        edge e -> a : js via rampup(3)
    }
    data digits {
        batch = 32 | 48  samples = 600 | 50%  validation = 100  augment = paper
        labeled = 50%  labeled_batch = 8  views = 2
    }
    train {
        epochs = 3  reduce = active  aggregate = mean  clip = 0.5
        schedule = multistep(at=[1, 60%])
    }
    """
)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_point_of_a_rich_space_means_itself(data: st.DataObject) -> None:
    assert RICH.space is not None
    point = {d.name: data.draw(st.integers(0, len(d.options) - 1)) for d in RICH.space.draws}
    plan = plan_at(RICH, point)
    if plan is None:
        return
    told = again(plan, Path("/nowhere"))
    assert told.digest == plan.digest
    assert ktgdsl.Plan.from_json(told.to_json()) == told


def test_the_points_of_a_small_space_all_mean_themselves() -> None:
    plan = sound(
        """
        graph g {
            node a, b = resnet8 | resnet14
            target a
            edge label -> a via through | linear
            edge b -> a : kl via cutoff | correct
        }
        """
    )
    assert plan.space is not None
    found = [plan_at(plan, point) for point in points(plan.space.draws)]
    for each in found:
        assert each is not None
        assert again(each, Path("/nowhere")).digest == each.digest


NOWHERE = Path("/nowhere")
ABC = "node a, b, c = resnet8 target a edge label -> *"
MODULES = 'node a, b = python("m:f") target a edge label -> *'


@settings(max_examples=40, deadline=None)
@given(specs())
def test_any_spec_means_itself_when_written_again(text: str) -> None:
    plan = sound(text)
    told = again(plan, NOWHERE)
    assert told.digest == plan.digest
    assert unparse_plan(told, NOWHERE) == unparse_plan(plan, NOWHERE)


@pytest.mark.parametrize(
    ("body", "more"),
    [
        (f"{ABC} edge b -> a via until(0.00001%)", ""),
        (f"{ABC} edge b -> a : 1e-7 * kl - mse via 1e-300", ""),
        (f"{ABC} edge b -> a : kl via 5 - (linear + 1) * (correct + 1), kl via 1 - correct", ""),
        (f"{ABC} edge b -> a : kl(T=3, scale=1), standardized_kl(T=1), standardized_kl", ""),
        (f"{ABC} edge b -> a edge a -> a : mse edge a -> b : mse", "data digits { views = 2 }"),
        (f"{ABC} edge b -> a edge a.stem -> a.stage2 : hint edge a.stem -> b.stage2 : hint", ""),
        (f"{ABC} edge b.stage1 -> a.stage1 : fsp(with=stage2) edge c -> a : irg(taps=[stem])", ""),
        (f"{ABC} share b, c {{ layers = [stem] grad = mean }} edge b, c -> a", ""),
        (f'{MODULES} edge b -> a : python("m:g", T=2.0, n=[2, -2.0, true, "x\\n\\"", 5%])', ""),
        (f'{MODULES} edge b -> a via python("m:g", x=1.0)', ""),
        (f'{MODULES} edge b."label" -> a."layer1.0" : hint', ""),
        ('node a = torchvision("resnet18") target a edge label -> a', ""),
        ('node a = wrn(16, 4, dropout=0.3) target a edge label -> a', ""),
        ("node a = resnet8 target a edge label -> a", 'data folder("x") { labeled = 0.00001% }'),
        ("node h[2] = resnet8 node e = copy(h) node m = ensemble(e) target h edge m -> h", ""),
        ("node h[2] = resnet8 node m[2] = ensemble(h) target h edge label -> * edge m -> h", ""),
        ("node p[3], a = resnet8 target a edge label -> a edge label -> p[0] edge p -> a", ""),
        ("node p[2], a, b = resnet8 target a, b edge label -> a, b edge p[0], p[1] -> a, b", ""),
        ("node p[1] = resnet8 target p edge label -> p edge p[0] -> p[0] : mse",
         "data digits { views = 2 }"),
    ],
)  # fmt: skip
def test_what_is_easily_written_wrongly(body: str, more: str) -> None:
    plan = sound(graph(body, more))
    assert plan.graph.edges
    assert again(plan, NOWHERE).digest == plan.digest


def test_arrays_derived_nodes_shares_and_phases_read_well() -> None:
    plan = sound(
        """
        graph one {
            node h[3] = resnet14
            node slow = ema(h)
            node mix  = ensemble(h, combine=gated(by=h[0].stage2), detach=false)
            node t    = python("nets:teacher", width=8)
            target h[0]
            share h { layers = [stem, stage1] grad = sum }
            edge label -> *
            edge label -> mix
            edge mix -> h : kl(T=3) via rampup(80)
            edge slow -> h[0] via linear(start=1, stop=0) * during(late)
            edge t -> h : kl - 0.5 * mse via until(moment=50%)
        }
        train { epochs = 30 }
        phase early { learn = [h, mix, t] epochs = 10 }
        phase late { learn = [h, mix, t] schedule = constant }
        """
    )
    assert unparse_plan(plan, NOWHERE) == (
        """\
graph one {
    node h[3] = resnet14
    node t    = python("nets:teacher", width=8)
    node slow = ema(h)
    node mix  = ensemble(h, combine=gated(by=h[0].stage2), detach=false)
    target h[0]

    share h { layers = [stem, stage1] }
    edge label -> *
    edge label -> mix
    edge mix   -> h : kl(T=3)        via rampup(80)
    edge slow  -> h[0] via linear(1, 0) * during(late)
    edge t     -> h : kl - 0.5 * mse via until(50%)
}

data digits {
    batch = 64
}

train {
    epochs    = 30
    optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.0005)
    schedule  = step(every=30%)
}

phase early {
    learn  = [h, mix, t]
    epochs = 10
}

phase late {
    learn    = [h, mix, t]
    schedule = constant
}
"""
    )


PHASES = """
    graph g {
        node a = resnet8
        node b = resnet14
        target a
        edge label -> *
    }
    phase p { learn = [a, b] }
"""


def test_a_phase_forgets_dropped_nodes() -> None:
    plan = sound(PHASES)
    assert "learn = [a]" in unparse_plan(plan, NOWHERE)
    assert again(plan, NOWHERE).canonical_digest == plan.canonical_digest


def test_every_line_of_the_header_is_a_comment() -> None:
    plan = sound("graph g { node a = resnet8 target a edge label -> a }")
    text = unparse_plan(plan, NOWHERE, ["one\ntwo", "", "three"])
    assert text.startswith("# one\n# two\n#\n# three\n\ngraph g {\n")


def test_a_plan_too_large_for_a_spec() -> None:
    plan = sound("graph g { node a = resnet8 target a edge label -> a }")
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        unparse_plan(plan, NOWHERE, ["x" * 2**20])


def test_weights_are_found_through_a_link(tmp_path: Path) -> None:
    deep = tmp_path / "project" / "deep"
    deep.mkdir(parents=True)
    (deep.parent / "pyproject.toml").touch()
    (deep.parent / "t.pt").write_bytes(b"weights")
    (tmp_path / "link").symlink_to(deep)
    body = 'node a = resnet8 node t = resnet8 { weights = "t.pt" } target a edge label, t -> a'
    plan = compile_source(Source("x.ktg", graph(body)), deep.parent).plan
    assert plan is not None
    assert again(plan, tmp_path / "link").digest == plan.digest
