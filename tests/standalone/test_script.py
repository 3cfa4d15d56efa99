"""Scripts train to the weights of a run, bit for bit, and need torch alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ktgdsl.cli import main as cli
from ktgdsl.compiler import load
from ktgdsl.standalone.network_code import BUILT_IN
from ktgdsl.standalone.script import training_script
from ktgdsl.training.datasets.read import complete
from tests.specs import graph, sound
from tests.standalone.scripts import differing, shrunk, written_parts
from tests.test_specs import SPECS

KD = """\
graph kd {
    node student = resnet(depth=8, width=4)
    node teacher = wrn(depth=10, widen=1)
    target student
    edge label -> student : ce via 0.1
    edge teacher -> student : kl(T=4) via 0.9 * correct * linear
}
data digits { batch = 16  samples = 40  augment = paper }
train { epochs = 2  optimizer = sgd(lr=0.1, momentum=0.9) }
pretrain { epochs = 1  schedule = cosine }
"""
DML = """\
graph dml {
    node a, b = resnet8
    target a
    edge label -> *
    edge a <-> b : kl via linear
}
data cifar10 { augment = standard }
train { epochs = 3  optimizer = sgd(lr=0.1, momentum=0.9)  schedule = cosine }
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def test_the_command_writes_a_script_that_trains_as_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "kd.ktg"
    spec.write_text(KD)
    assert cli.main(["build", str(spec), "--emit", "script"]) == 0
    script = tmp_path / "train.py"
    script.write_text(capsys.readouterr().out)
    hidden = "import runpy, sys; sys.modules['ktgdsl'] = None; sys.argv[:] = sys.argv[1:]; "
    code = f"{hidden}runpy.run_path(sys.argv[0], run_name='__main__')"
    options = [str(script), "--device=cpu", f"--out={tmp_path / 'pt'}"]
    trained = subprocess.run(
        [sys.executable, "-c", code, *options],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
        text=True,
    )
    assert trained.returncode == 0, trained.stderr
    out = str(tmp_path / "run")
    given = ["run", str(spec), "--device=cpu", "--deterministic", "--quiet", "--out", out]
    assert cli.main(given) == 0
    files = {each.stem: load_file(each) for each in (tmp_path / "run/nodes").iterdir()}
    assert files.keys() == {"student", "teacher"}
    for name, ours in files.items():
        theirs = torch.load(tmp_path / f"pt/{name}.pt")
        assert theirs.keys() == ours.keys()
        assert all(torch.equal(theirs[key], ours[key]) for key in ours)


PHASES = graph(
    """node student, teacher = resnet8
    node late = ema(student, decay=0.9)
    target student
    edge label -> student via during(study)
    edge teacher.stage2 -> student.stage2.pre : hint via 10 * during(hints)
    edge teacher -> student : kl(T=4) via during(study)""",
    """phase hints { learn = [student]  epochs = 1 }
    phase study { learn = [student]  epochs = 3  take = best  stop = patience(1) }
    data digits { validation = 10  holdout = true }
    train { optimizer = adamw(lr=1e-2)  schedule = plateau(on=accuracy, patience=0)  clip = 1 }""",
)
SHARED = graph(
    """node h[3] = resnet8
    node mix = ensemble(h, combine=gated(by=h[0].stage2), detach=false)
    target h[0]
    share h { layers = [stem, stage1, stage2]  grad = mean }
    edge label -> *
    edge label -> mix
    edge mix -> h : kl(T=3) via rampup(1)""",
    """data digits { augment = standard  drop_last = false }
    train { schedule = cosine(warmup=1)  precision = bf16 }""",
)
FEW_LABELS = graph(
    """node a, b = wrn(depth=10, widen=1, dropout=0.3)
    node slow = copy(a, every=2)
    target a
    edge label -> * : ce(smoothing=0.1) via shard(0, 2)
    edge a -> a : mse
    edge a <-> b : js via stable(0.1)
    edge slow -> b : kl via linear""",
    """data digits { labeled = 20  labeled_batch = 3  views = 2  augment = paper  holdout = true }
    train { optimizer = sgd(momentum=0.9)  update = sequential  on_zero = skip  repeats = 2 }""",
)
OWN = graph(
    """node a, b = resnet8
    target a
    edge label -> *
    edge a -> b : kl
    edge b -> a : python("tests.standalone.own:kl") via python("tests.standalone.own:train")"""
)


OTHERS = graph(
    """node a = python("tests.standalone.own:networks", width=4)
    node b = torchvision("shufflenet_v2_x0_5")
    node t = python("tests.standalone.own:Net")
    node slow = ema(a, decay=0.9)
    target a, b
    edge label -> a, b
    edge t -> a : kl(T=2) via linear
    edge a.norm -> b.conv5 : hint via during(second)
    edge slow -> b : kl""",
    """phase first { learn = [a, b]  epochs = 1 }
    phase second { learn = [a, b]  epochs = 1 }
    data digits""",
)


@pytest.mark.parametrize(
    "spec",
    [PHASES, SHARED, FEW_LABELS, OWN, OTHERS],
    ids=["phases", "shared", "labels", "own", "others"],
)
def test_scripts_train_to_the_same_bits(spec: str) -> None:
    assert differing(shrunk(sound(spec))) == []


def test_own_data() -> None:
    block = 'python("tests.standalone.own:data", count=24) { batch = 8  augment = standard }'
    body = "node a = resnet(depth=8, width=4) target a edge label -> a"
    plan = complete(sound(graph(body, f"data {block} train {{ epochs = 2 }}")))
    assert differing(plan) == []
    script = training_script(plan, "")
    needs = "It needs torch and `tests.standalone.own` beside it, and no ktgdsl."
    assert needs in script.replace("\n#", "")


@pytest.mark.slow
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_shipped_spec(path: Path) -> None:
    """With small networks and few digits; a space is no spec, and some can be no script."""
    plan = load(path)
    if plan.space is not None:
        pytest.skip("a space")
    if {node.network.name for node in plan.graph.nodes} - BUILT_IN.keys():
        pytest.skip("of data that cannot be small digits")
    assert differing(shrunk(plan)) == []


def test_golden_file() -> None:
    """What is written of a short spec, without the package's own definitions in it.

    KTG_UPDATE_GOLDEN=1 writes it anew.
    """
    golden = Path(__file__).with_name("dml.golden.txt")
    plan = sound(DML)
    text = written_parts(training_script(plan, DML))
    if os.environ.get("KTG_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
