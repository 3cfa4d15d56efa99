"""What the throughput of a search is measured against has the same graphs, images and steps."""

import pytest
from torch import Tensor

from ktgdsl.plan.model import Plan
from ktgdsl.searching.study.trial_plans import for_trial
from tests.benchmarks import reference
from tests.benchmarks import reference_trial as alone
from tests.benchmarks.reference_trial import Job
from tests.benchmarks.throughput import NAME, SPACE, Block, job, row
from tests.specs import sound

CORRECT = "edge m3 -> m1 : kl via correct\n"


def trial(edges: str) -> Plan:
    text = SPACE.format(name=NAME, epochs=8, trials=4, seed=0)
    before, _, after = text.partition("    edge *     -> * : kl via gate\n")
    before = before.replace("resnet8 | resnet14 | wrn10_2", "resnet8")
    before = before.replace("let each gate = through | cutoff | linear | correct\n", "")
    return for_trial(sound(before + edges + after))


def test_a_graph_for_the_reference() -> None:
    found = job(trial("edge m1 -> m2 : kl\nedge m2 -> m3 : kl via linear\n" + CORRECT), 3)
    network = ("resnet", {"depth": 8, "stride": 1})
    assert found.networks == {"m1": network, "m2": network, "m3": network}
    assert sorted(found.transfers) == [
        ("m1", "m2", "through"),
        ("m2", "m3", "linear"),
        ("m3", "m1", "correct"),
    ]
    # A fifth of 1,297 images is held out; the rest fills 16 batches of 64 an epoch, 8 times.
    assert (found.learned, found.held, found.batch) == (1038, 259, 64)
    assert (found.steps, found.epochs) == (16 * 8, 3)


@pytest.mark.parametrize("edge", ["m2 -> m1 : kl via cosine", "m2 -> m1 : kl via 0.5"])
def test_a_gate_that_the_reference_does_not_have(edge: str) -> None:
    with pytest.raises(ValueError, match="the reference has no gate"):
        job(trial(f"edge {edge}\n"), 1)


def test_the_reference_has_labels_for_every_node() -> None:
    with pytest.raises(ValueError, match="the labels have to teach every node"):
        job(trial("edge label -> m2 : ce via cutoff\nedge m1 -> m2 : kl\nedge m2 -> m1 : kl\n"), 1)


def test_the_reference_takes_the_steps_of_its_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[reference.Reference] = []

    class Noted(reference.Reference):
        def __call__(self, image: Tensor, label: Tensor) -> None:
            super().__call__(image, label)
            made.append(self)

    monkeypatch.setattr(alone, "Reference", Noted)
    monkeypatch.setattr(reference, "WORKERS", 0)
    network = ("resnet", {"depth": 8, "stride": 1})
    given = Job({"a": network, "b": network}, [("a", "b", "correct")], 32, 70, 20, 16, 3)
    accuracy = alone.train(given)
    assert len(made) == made[-1].taken == 3 * 2  # 70 images are two batches of 32
    assert made[-1].steps == 16
    assert set(accuracy) == {"a", "b"}
    assert all(0 <= each <= 100 and (each / 5) % 1 == 0 for each in accuracy.values())


def test_blocks_together() -> None:
    blocks = [Block(2, 5, 20, (10, 15), (20, 30)), Block(2, 7, 30, (15, 35), (80, 120))]
    found = row(blocks, "all")
    assert (found["workers"], found["trainings"], found["epochs"]) == (2, 12, 50)
    assert (found["search s"], found["CPU s"]) == (25, 50)
    assert (found["epochs/h"], found["reference epochs/h"]) == (50 * 144, 50 * 36)
    assert (found["times"], found["times by CPU"]) == (4, 3)
