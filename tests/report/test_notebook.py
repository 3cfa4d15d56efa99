"""What a notebook shows: results with escaped names, and one output that is replaced."""

import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest

import ktgdsl
from ktgdsl.report.notebook import progress
from ktgdsl.report.notebook.formats import register
from ktgdsl.report.notebook.results import run_html
from ktgdsl.training.run_folder import RunFolder
from tests.report.recorded import write_run
from tests.tracking.played import begin, play_all


def test_a_result_shows_its_nodes_and_curves(tmp_path: Path) -> None:
    folder = tmp_path / "<b>&"
    write_run(folder, {"a": [[20.0, 50.0, 60.0, 65.5]], "b": [[10.0, 20.0, 30.0, 40.0]]})
    result = RunFolder(folder).result()
    assert result is not None
    text = run_html(result)
    assert "65.50 %" in text
    assert text.count("<svg") == 3  # the graph, accuracies and losses
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text
    drawn = ktgdsl.curves(folder)._repr_svg_()
    ElementTree.fromstring(drawn)
    for named in ([result], [[result]], [f"{folder}/", folder]):  # each folder once
        assert ktgdsl.curves(*named)._repr_svg_() == drawn
    with pytest.raises(TypeError, match="takes the folder of a run or a search, or its result"):
        ktgdsl.curves()


def test_progress_replaces_one_output(tmp_path: Path) -> None:
    shown: list[str] = []
    now = iter(range(10_000))
    plan = begin(tmp_path / "run")
    show = progress.NotebookProgress(shown.append, lambda: float(next(now)))
    play_all(show, plan, tmp_path / "run")
    assert "epoch 4/4" in shown[-2]
    assert "61.00" in shown[-1]
    assert "#000080" not in shown[-1]  # which nobody reads on black
    assert max(text.count("\n") for text in shown) < progress.KEPT + 20


def test_registering_knows_existing_classes_and_silences_tqdm() -> None:
    names: list[tuple[str, str]] = []

    class Shell:
        formatters = property(lambda self: {"text/html": self})
        display_formatter = property(lambda self: self)

        def for_type_by_name(self, module: str, name: str, _: object) -> None:
            names.append((module, name))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        register(Shell())
        warnings.warn_explicit("IProgress not found.", Warning, "auto.py", 21, "tqdm.auto")
    assert not caught
    from importlib import import_module

    assert all(hasattr(import_module(module), name) for module, name in names)
    assert len(names) == 4
