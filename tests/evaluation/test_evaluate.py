"""Evaluations of a run: the numbers of its result, other data, and what is refused."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ktgdsl
from ktgdsl.errors import KtgWarning, RunError, SpecError
from ktgdsl.evaluation.evaluate import evaluate
from ktgdsl.evaluation.result import Evaluation
from ktgdsl.files import sealed_json, unsealed_json
from ktgdsl.measures.classification import METRICS, by_class, macro_f1, top
from ktgdsl.report.evaluation import score_text, top1
from ktgdsl.report.notebook.results import evaluation_html
from ktgdsl.training import digits
from ktgdsl.training.networks import load_network

SPEC = """
graph evaluated {
    node a, b = python("tests.evaluation.test_evaluate:small")
    node mix  = ensemble(a, b, on=probabilities)
    node slow = ema(a)
    target a
    edge label -> a, b
    edge mix   -> a : kl
    edge slow  -> b : kl
}
data digits { batch = 128  samples = 256  validation = 64  holdout = true  augment = standard }
train { epochs = 2  repeats = 2  metrics = [top5, f1, ece, miou] }
"""


def small() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def other_images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Noise of three of the ten classes."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (9, 1, 8, 8), np.uint8), np.repeat([0, 1, 2], 3)


def eleven(split: str) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((11, 1, 8, 8), np.uint8), np.arange(11)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two seeds, whose networks normalise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KTGDSL_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("runs") / "r"
        return ktgdsl.run(ktgdsl.loads(SPEC), out=folder, device="cpu").folder


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copied"))


@pytest.fixture(scope="module")
def evaluation(trained: Path) -> Evaluation:
    return evaluate(trained, device="cpu")


def test_a_notebook_shows_the_measures(trained: Path, evaluation: Evaluation) -> None:
    accuracy = f"{evaluation.score('a', top1)}"
    line = repr(evaluation)
    assert line.startswith(f"<Evaluation a {accuracy}, ")
    assert line.endswith(f"; test split of digits; {trained}>")
    table = ElementTree.fromstring(evaluation_html(evaluation).replace("&nbsp;", " "))
    rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert rows[0][:2] == ["in percent", "accuracy"]
    assert [row[0] for row in rows[1:]] == [*evaluation.by_node]
    assert rows[1][1] == score_text(evaluation.score("a", top1))


def accuracies(evaluation: Evaluation, name: str) -> tuple[float, ...]:
    return evaluation.nodes[name].score(lambda counts: top(counts, 1)).runs


def test_accuracies_of_all_nodes_are_those_of_the_result(
    trained: Path, evaluation: Evaluation
) -> None:
    result = json.loads((trained / "result.json").read_text())
    assert [*evaluation.nodes] == [*result["nodes"]] == ["a", "b", "mix", "slow"]
    for name, node in result["nodes"].items():
        assert accuracies(evaluation, name) == pytest.approx(node["accuracy"]["runs"])
    assert (evaluation.samples, evaluation.seeds) == (500, (0, 1))
    assert evaluation.classes == tuple("0123456789")


def test_validation_samples_are_those_that_each_seed_held_out(trained: Path) -> None:
    found = evaluate(trained, ["a", "mix"], split="validation", device="cpu")
    result = json.loads((trained / "result.json").read_text())
    for name in ("a", "mix"):
        expected = result["nodes"][name]["validation_accuracy"]["runs"]
        assert accuracies(found, name) == pytest.approx(expected)
    assert found.samples == 64
    assert evaluate(trained, ["a"], split="train", device="cpu").samples == 192


def test_counts_are_those_of_the_loaded_network(trained: Path, evaluation: Evaluation) -> None:
    image, label = digits.read()
    image, right_answer = image[digits.TRAIN_SAMPLES :], label[digits.TRAIN_SAMPLES :].numpy()
    f1 = []
    for repeat, counts in enumerate(evaluation.nodes["b"].runs, start=1):
        with torch.no_grad():
            logits = load_network(trained, "b", repeat)(image.float() / digits.WHITE)
        answer = logits.argmax(dim=1).numpy()
        matrix = np.zeros((10, 10), int)
        np.add.at(matrix, (right_answer, answer), 1)
        assert [list(row) for row in counts.confusion] == matrix.tolist()
        right = matrix.diagonal()
        share = 2 * right / (matrix.sum(axis=0) + matrix.sum(axis=1))
        f1.append(100 * share.mean())
        assert [each.recall for each in by_class(counts)] == pytest.approx(
            [*(100 * right / matrix.sum(axis=1))]
        )
    assert evaluation.nodes["b"].score(macro_f1).runs == pytest.approx(f1)


def test_metrics_of_the_training_are_those_of_an_evaluation(
    trained: Path, evaluation: Evaluation
) -> None:
    result = json.loads((trained / "result.json").read_text())
    validation = evaluate(trained, split="validation", device="cpu")
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    for name, node in result["nodes"].items():
        last = [each for each in lines if each["node"] == name and each["epoch"] == 2]
        assert [*node["metrics"]] == [*node["validation_metrics"]] == [*METRICS]
        for metric, measure in METRICS.items():
            on_test, held_out = (each.nodes[name] for each in (evaluation, validation))
            assert node["metrics"][metric]["runs"] == pytest.approx(on_test.score(measure).runs)
            expected = pytest.approx(held_out.score(measure).runs)
            assert node["validation_metrics"][metric]["runs"] == expected
            assert [each[f"validation_{metric}"] for each in last] == expected


def folder_of_images(path: Path, *classes: str, size: int = 8) -> str:
    """A folder with three images of each class in `train` and `test`; its data set."""
    for split in ("train", "test"):
        for name in classes:
            (path / split / name).mkdir(parents=True)
            for number in range(3):
                pixels = np.full((size, size), 80 * number, np.uint8)
                Image.fromarray(pixels).save(path / split / name / f"{number}.png")
    return f'folder("{path}")'


def test_classes_of_other_data_are_found_by_name(trained: Path, tmp_path: Path) -> None:
    data = folder_of_images(tmp_path / "photos", "7", "3")
    found = evaluate(trained, ["a"], data=data, device="cpu")
    samples = [sum(row) for row in found.nodes["a"].runs[0].confusion]
    assert samples == [0, 0, 0, 3, 0, 0, 0, 3, 0, 0]
    assert found.classes == tuple("0123456789")
    shades = torch.tensor([0.0, 80.0, 160.0]).div(255).view(3, 1, 1, 1).expand(3, 1, 8, 8)
    with torch.no_grad():
        answers = load_network(trained, "a")(shades).argmax(dim=1)
    expected = torch.bincount(answers, minlength=10).tolist()
    assert list(found.nodes["a"].runs[0].confusion[7]) == expected


def test_classes_that_the_run_does_not_have_are_refused(trained: Path, tmp_path: Path) -> None:
    data = folder_of_images(tmp_path / "photos", "3", "cat")
    with pytest.raises(RunError, match="the run has no class `cat`") as caught:
        evaluate(trained, data=data, device="cpu")
    assert caught.value.diagnostics[0].code == "E508"


def test_own_data_without_names_may_lack_classes_and_not_have_more(trained: Path) -> None:
    found = evaluate(
        trained, ["a"], data='python("tests.evaluation.test_evaluate:other_images")', device="cpu"
    )
    assert [sum(row) for row in found.nodes["a"].counts.confusion] == [6, 6, 6] + 7 * [0]
    with pytest.raises(RunError, match="has the label 10 in train"):
        evaluate(trained, data='python("tests.evaluation.test_evaluate:eleven")', device="cpu")


@pytest.mark.parametrize(
    ("data", "split", "message"),
    [
        (
            "mnist",
            "test",
            "the images of mnist are 1x28x28, and the networks of the run take 1x8x8",
        ),
        ("digits", "validation", "no validation split of digits was held out"),
    ],
)
def test_data_that_do_not_fit_are_refused(
    trained: Path, data: str, split: str, message: str
) -> None:
    with pytest.raises(RunError, match=message):
        evaluate(trained, data=data, split=split, device="cpu")  # type: ignore[arg-type] # any text


def test_a_misspelt_data_set_is_shown_with_what_was_meant(trained: Path) -> None:
    with pytest.raises(SpecError) as caught:
        evaluate(trained, data="didgits", device="cpu")
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.help) == ("E201", "did you mean `digits`?")


def test_nodes_that_there_are_not_are_refused(trained: Path) -> None:
    with pytest.raises(RunError, match="has no node `mixx`"):
        evaluate(trained, ["a", "mixx"], device="cpu")


def test_damaged_weights_are_refused(copied: Path) -> None:
    path = copied / "nodes" / "a.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError) as caught:
        evaluate(copied, ["a"], device="cpu")
    assert caught.value.diagnostics[0].code == "E406"


def test_an_unfinished_run_is_evaluated_as_far_as_it_is(copied: Path) -> None:
    (copied / "result.json").unlink()
    (copied / "repeat-2" / "nodes" / "b.safetensors").unlink()
    assert evaluate(copied, ["b"], device="cpu").seeds == (0,)
    (copied / "nodes" / "b.safetensors").unlink()
    with pytest.raises(RunError, match="node `b` is not trained to the end"):
        evaluate(copied, ["b"], device="cpu")


def test_another_accuracy_than_that_of_the_run_is_said(copied: Path) -> None:
    path = copied / "result.json"
    content, _ = unsealed_json(path.read_text())
    content["nodes"]["b"]["accuracy"]["runs"][1] = 1.0
    path.write_text(sealed_json(content))
    with pytest.warns(KtgWarning, match="the test accuracy of b is") as caught:
        evaluate(copied, ["b"], device="cpu")
    assert [each.message.diagnostic.code for each in caught] == ["W306"]  # type: ignore[union-attr] # KtgWarning


def test_the_folder_of_a_search_is_refused(copied: Path) -> None:
    (copied / "space.ktg").write_text("")
    with pytest.raises(RunError, match="is the folder of a search, not of a run"):
        evaluate(copied, device="cpu")


def test_a_split_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no split 'nonsense'; there are \"train\", "):
        evaluate(tmp_path, split="nonsense")  # type: ignore[arg-type] # any text
