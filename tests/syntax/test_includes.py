"""`use`: other files as defaults."""

from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.compiler import compile_file, compile_source
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source
from ktgdsl.report.describe import describe
from ktgdsl.report.describe_settings import setting_origins
from ktgdsl.syntax.format import format_file

GRAPH = "graph g { node a, b = resnet8 target a edge label -> * edge b -> a : kl(T=T) }\n"
BASE = "data digits { batch = 32 validation = 10% }\nlet T = 3\n"
TRAIN = "train { epochs = 9 seed = 4 optimizer = sgd(lr=0.2, momentum=0.5) }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "specs").mkdir()
    (tmp_path / "recipes" / "base.ktg").write_text(BASE + TRAIN)
    return tmp_path


def write(project: Path, text: str, name: str = "specs/a.ktg") -> Path:
    path = project / name
    path.write_text(text)
    return path


def complaints(path: Path) -> list[tuple[str, str]]:
    return [(d.code, d.message) for d in ktgdsl.check(path)]


def errors(path: Path) -> tuple[Diagnostic, ...]:
    return ktgdsl.check(path)


class TestMerging:
    def test_another_file_gives_the_defaults(self, project: Path) -> None:
        plan = ktgdsl.load(write(project, f'use "../recipes/base.ktg"\n{GRAPH}'))
        assert (plan.data.batch, plan.train.epochs, plan.train.seed) == (32, 9, 4)
        assert plan.graph.edges[-1].terms[0].parts[0].loss.arguments["T"] == 3

    def test_own_settings_win_one_by_one(self, project: Path) -> None:
        own = "train { seed = 5 } data digits { batch = 16 } let T = 2\n"
        plan = ktgdsl.load(write(project, f'use "../recipes/base.ktg"\n{GRAPH}{own}'))
        assert (plan.data.batch, plan.data.validation) == (16, 130)
        assert (plan.train.epochs, plan.train.seed) == (9, 5)
        assert plan.graph.edges[-1].terms[0].parts[0].loss.arguments["T"] == 2

    def test_a_value_is_replaced_as_a_whole(self, project: Path) -> None:
        own = "train { optimizer = sgd(lr=0.01) }\n"
        plan = ktgdsl.load(write(project, f'use "../recipes/base.ktg"\n{GRAPH}{own}'))
        assert plan.train.optimizer.arguments["momentum"] == 0.0

    def test_a_later_use_wins(self, project: Path) -> None:
        write(project, "train { epochs = 7 }", "recipes/short.ktg")
        base, short = '"../recipes/base.ktg"', '"../recipes/short.ktg"'
        plan = ktgdsl.load(write(project, f"use {base}\nuse {short}\n{GRAPH}"))
        assert (plan.train.epochs, plan.train.seed) == (7, 4)
        plan = ktgdsl.load(write(project, f"use {short}\nuse {base}\n{GRAPH}"))
        assert plan.train.epochs == 9

    def test_use_reaches_through_and_paths_are_relative_to_each_file(self, project: Path) -> None:
        write(project, 'use "base.ktg" train { epochs = 7 }', "recipes/more.ktg")
        plan = ktgdsl.load(write(project, f'use "../recipes/more.ktg"\n{GRAPH}'))
        assert (plan.train.epochs, plan.train.seed, plan.data.batch) == (7, 4, 32)

    def test_the_graph_may_come_from_elsewhere(self, project: Path) -> None:
        write(project, GRAPH + BASE, "specs/graph.ktg")
        plan = ktgdsl.load(write(project, 'use "graph.ktg" train { epochs = 2 }'))
        assert plan.graph.name == "g"
        assert plan.train.epochs == 2

    def test_the_same_file_may_be_reached_twice(self, project: Path) -> None:
        write(project, 'use "base.ktg" train { epochs = 7 }', "recipes/one.ktg")
        write(project, 'use "base.ktg" train { seed = 8 }', "recipes/two.ktg")
        text = f'use "../recipes/one.ktg" use "../recipes/two.ktg"\n{GRAPH}'
        plan = ktgdsl.load(write(project, text))
        # The later file brings its own base with it.
        assert (plan.train.epochs, plan.train.seed) == (9, 8)

    def test_flattening_keeps_the_digest(self, project: Path) -> None:
        path = write(project, f'use "../recipes/base.ktg"\n{GRAPH}train {{ seed = 5 }}')
        compiled = compile_file(path)
        assert compiled.tree is not None
        assert compiled.plan is not None
        text = format_file(compiled.tree)
        assert "use" not in text
        assert ktgdsl.loads(text).digest == compiled.plan.digest

    def test_weights_are_looked_up_beside_the_file_that_names_them(self, project: Path) -> None:
        (project / "recipes" / "t.safetensors").write_bytes(b"weights")
        graph = GRAPH.replace("resnet8", 'resnet8 { weights = "t.safetensors" }')
        write(project, graph + BASE, "recipes/graph.ktg")
        plan = ktgdsl.load(write(project, 'use "../recipes/graph.ktg"'))
        found = plan.graph.node("a").weights_file
        assert found is not None
        assert found.file == str(project / "recipes" / "t.safetensors")


class TestMistakes:
    def test_a_file_that_is_not_there_hides_no_mistake_and_invents_none(
        self, project: Path
    ) -> None:
        path = write(project, f'use "none.ktg"\n{GRAPH}train {{ epochs = 0 }}')
        assert complaints(path) == [
            ("E001", '"none.ktg" cannot be used: there is no file `none.ktg`'),
            ("E302", "`epochs` must be at least 1, not 0"),
        ]

    def test_one_beside_it_with_such_a_name(self, project: Path) -> None:
        path = write(project, f'use "../recipes/bsae.ktg"\n{GRAPH}')
        assert errors(path)[0].help == 'did you mean "../recipes/base.ktg"?'
        path = write(project, f'use "none.ktg"\n{GRAPH}')
        assert str(errors(path)[0].help).startswith("paths are relative to the file that says")

    def test_a_cycle(self, project: Path) -> None:
        write(project, 'use "c.ktg"', "specs/b.ktg")
        write(project, 'use "a.ktg"', "specs/c.ktg")
        path = write(project, f'use "b.ktg"\n{GRAPH}let T = 1')
        (error,) = errors(path)
        assert (error.code, error.message) == ("E107", '"a.ktg" is used by itself')
        assert error.path is not None
        assert error.path.endswith("c.ktg")

    def test_a_file_outside_of_the_project(self, project: Path) -> None:
        (project.parent / "outside.ktg").write_text(BASE)
        path = write(project, f'use "../../outside.ktg"\n{GRAPH}let T = 1')
        (error,) = errors(path)
        assert error.code == "E107"
        assert "outside of the folder tree" in error.message

    def test_another_root(self, project: Path) -> None:
        path = write(project, f'use "../recipes/base.ktg"\n{GRAPH}')
        assert compile_file(path, root=project).diagnostics == ()
        (error,) = compile_file(path, root=project / "specs").diagnostics
        assert error.code == "E107"

    def test_a_mistake_in_a_used_file_is_shown_there_and_told_once(self, project: Path) -> None:
        write(project, BASE + "train { epochs = }", "recipes/base.ktg")
        text = f'use "../recipes/base.ktg" use "../recipes/base.ktg"\n{GRAPH}'
        found = errors(write(project, text))
        assert [d.code for d in found] == ["E103"]
        assert found[0].path is not None
        assert found[0].path.endswith("recipes/base.ktg")
        assert found[0].labels[0].text == "used here"

    def test_a_block_twice_in_a_used_file(self, project: Path) -> None:
        write(project, BASE + TRAIN + TRAIN, "recipes/base.ktg")
        (error,) = errors(write(project, f'use "../recipes/base.ktg"\n{GRAPH}'))
        assert error.code == "E206"
        assert error.path is not None
        assert error.path.endswith("recipes/base.ktg")

    @pytest.mark.parametrize("name", ["", ".", "a\\u0000b", "nul\\tab"])
    def test_strange_paths(self, project: Path, name: str) -> None:
        path = write(project, f'use "{name}"\n{GRAPH}let T = 1')
        assert all(d.severity == "error" for d in errors(path))
        assert errors(path)

    def test_paths_may_begin_at_another_folder(self, project: Path) -> None:
        (project / "recipes" / "t.pt").write_text("weights")
        text = 'use "../recipes/"\nuse "../recipes/base.ktg"\n' + GRAPH
        weights = text.replace("a, b = resnet8", 'a, b = resnet8 { weights = "t.pt" }')
        plan = ktgdsl.load(write(project, weights))
        assert plan.folder == str(project / "recipes")
        assert plan.data.batch == 32  # files of `use` are still relative to the file

    def test_a_folder_that_is_none(self, project: Path) -> None:
        path = write(project, f'use "../recipes/base.ktg/" use "gone/"\n{GRAPH}let T = 1')
        assert complaints(path) == [
            ("E001", 'there is no folder "../recipes/base.ktg/"'),
            ("E001", 'there is no folder "gone/"'),
        ]

    def test_a_folder_outside_of_the_root(self, project: Path) -> None:
        path = write(project, f'use "../../"\n{GRAPH}let T = 1')
        assert ktgdsl.load(path).folder == str(project.parent)
        (error,) = compile_file(path, root=project).diagnostics
        assert error.code == "E107"

    def test_a_text_without_a_file_may_use_some(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(project)
        assert ktgdsl.loads(f'use "recipes/base.ktg"\n{GRAPH}').train.epochs == 9


class TestOrigins:
    def test_a_plan_says_where_each_setting_comes_from(self, project: Path) -> None:
        path = write(project, f'use "../recipes/base.ktg"\n{GRAPH}train {{ seed = 5 }}')
        compiled = compile_file(path, ["train.repeats=2"])
        assert compiled.tree is not None
        assert compiled.plan is not None
        found = setting_origins(compiled.tree)
        assert found["train.seed"] == str(path)
        assert found["train.epochs"] == str(project / "recipes" / "base.ktg")
        assert found["data.source"] == str(project / "recipes" / "base.ktg")
        assert found["train.repeats"] == "--set"
        assert "train.clip" not in found
        rows = {
            line.split()[0]: line for line in describe(compiled.plan, found).splitlines() if line
        }
        assert rows["clip"].split() == ["clip", "none", "default"]
        assert rows["repeats"].split() == ["repeats", "2", "--set"]
        assert rows["seed"].endswith("a.ktg")
        assert rows["samples"].endswith("to test")


def test_a_spec_without_use_reads_no_other_file() -> None:
    compiled = compile_source(Source("text", GRAPH + BASE), Path("/nowhere"))
    assert list(compiled.sources) == ["text"]
