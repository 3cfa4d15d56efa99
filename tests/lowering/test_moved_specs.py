"""Specs that are written to other folders: every kind of path leads where it led before."""

from pathlib import Path

import pytest

from ktgdsl.compiler import Compiled, compile_file
from ktgdsl.flattened import flattened
from ktgdsl.lowering.moved_specs import HANDED_ON, moved_text
from ktgdsl.plan.model import Plan
from ktgdsl.space.space import plan_at
from ktgdsl.space.unparse_plan import unparse_plan

BODY = "node a = {} target a edge label -> a"
GRAPH = f"graph g {{ {BODY.format('resnet8')} }}\n"


def with_nodes(network: str) -> str:
    return f"graph g {{ node a = resnet8 node t = {network} target a edge label, t -> a }}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a spec's folder, recipes, and what paths lead to."""
    for folder in ("p/specs/img", "p/recipes/img", "p/runs/r", "elsewhere/r"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("p/specs", "p/recipes"):
        (tmp_path / folder / "t.pt").write_text(f"weights in {folder}")
    (tmp_path / "p/pyproject.toml").touch()
    return tmp_path / "p"


def write(folder: Path, text: str, name: str = "s.ktg") -> Path:
    (folder / name).write_text(text)
    return folder / name


def compiled(path: Path, settings: tuple[str, ...] = ()) -> Compiled:
    result = compile_file(path, settings)
    assert result.plan is not None, [each.message for each in result.diagnostics]
    return result


def leads(plan: Plan) -> tuple[object, ...]:
    """Where the paths of a plan lead; own modules are looked up in the folder of the plan."""
    files = [node.weights_file for node in plan.graph.nodes]
    content = [each and (each.file, each.sha256) for each in files]
    return plan.digest, plan.folder, plan.data.root, content


OWN = {
    "network": with_nodes('python("nets:net", width=8)'),
    "loss": 'graph g { node a, b = resnet8 target a edge label -> *  edge b -> a : python("l:f") }',
    "gate": 'graph g { node a = resnet8 target a edge label -> a via python("gates:g") }',
    "weights": with_nodes('resnet8 { weights = "t.pt" }'),
    "named weights": f'let w = "t.pt"\n{with_nodes("resnet8 { weights = w }")}',
    "root": f'{GRAPH}data mnist {{ root = "img" }}',
    "folder": f'{GRAPH}data folder("img") {{ classes = 3 }}',
    "folder below a root": f'{GRAPH}data folder("img") {{ root = ".."  classes = 3 }}',
    "function": f'{GRAPH}data python("data:images") {{ classes = 3 }}',
}
"""Specs with a path of each kind."""

USED = {
    "weights": with_nodes('resnet8 { weights = "t.pt" }'),
    "named weights": f'let w = "t.pt"\n{with_nodes("resnet8 { weights = w }")}',
    "root": 'data mnist { root = "img" }',
    "named root": 'let r = "img"\ndata mnist { root = r }',
    "folder": 'data folder("img") { classes = 3 }',
    "function": 'data python("data:images") { classes = 3 }',
}
"""Recipes with a path of each kind, which begins at the recipe's own folder."""


@pytest.mark.parametrize("out", ["runs/r", "../elsewhere/r"])
@pytest.mark.parametrize("settings", [(), ("train.epochs=2",)])
@pytest.mark.parametrize("kind", OWN)
def test_a_saved_spec(project: Path, kind: str, settings: tuple[str, ...], out: str) -> None:
    first = compiled(write(project / "specs", OWN[kind]), settings)
    for folder in (project / out, project.parent / "elsewhere"):  # and of the saved one again
        text = flattened(first, settings)
        assert first.plan is not None
        saved = compiled(write(folder, moved_text(text, Path(first.plan.folder or ""), folder)))
        assert saved.plan is not None
        assert leads(saved.plan) == leads(first.plan)
        first, settings = saved, ()


@pytest.mark.parametrize("kind", USED)
def test_a_saved_spec_with_the_paths_of_a_recipe(project: Path, kind: str) -> None:
    write(project / "recipes", USED[kind])
    rest = "" if "graph" in USED[kind] else GRAPH
    first = compiled(write(project / "specs", f'use "../recipes/s.ktg"\n{rest}'))
    assert first.plan is not None
    assert "recipes" in str(leads(first.plan))
    text = moved_text(flattened(first, ()), project / "specs", project / "runs/r")
    assert '.ktg"' not in text
    saved = compiled(write(project / "runs/r", text)).plan
    assert saved is not None
    assert leads(saved) == leads(first.plan)


@pytest.mark.parametrize("kind", USED)
def test_a_point_of_a_space_with_the_paths_of_a_recipe(project: Path, kind: str) -> None:
    write(project / "recipes", USED[kind])
    rest = "" if "graph" in USED[kind] else GRAPH
    spec = f'use "../recipes/s.ktg"\n{rest}train {{ epochs = 1 | 2 }}'
    space = compiled(write(project / "specs", spec)).plan
    assert space is not None
    at_point = plan_at(space, {"train.epochs": 0})
    assert at_point is not None
    assert at_point.space is None
    assert leads(at_point)[1:] == leads(space)[1:]


@pytest.mark.parametrize("out", ["runs/r", "../elsewhere/r"])
@pytest.mark.parametrize("kind", OWN)
def test_the_spec_of_a_plan(project: Path, kind: str, out: str) -> None:
    plan = compiled(write(project / "specs", OWN[kind])).plan
    assert plan is not None
    text = unparse_plan(plan, project / out, ["the best"])
    found = compiled(write(project / out, text)).plan
    assert found is not None
    assert (found.digest, found.data.root) == (plan.digest, plan.data.root)
    if kind in ("network", "loss", "gate"):
        assert found.folder == plan.folder


def test_weights_outside_of_the_project(project: Path) -> None:
    """They were allowed by `--root`, which nobody has to say again."""
    outside = project.parent / "elsewhere"
    (outside / "t.pt").write_text("weights elsewhere")
    spec = write(project / "specs", with_nodes('resnet8 { weights = "../../elsewhere/t.pt" }'))
    assert compile_file(spec).plan is None
    plan = compile_file(spec, root=project.parent).plan
    assert plan is not None
    for text in (
        moved_text(spec.read_text(), project / "specs", project / "runs/r"),
        unparse_plan(plan, project / "runs/r", ["the best"]).partition("\n\n")[2],
    ):
        assert text.startswith(f'use "{outside}/"\nuse "../../specs/"  # {HANDED_ON}\n\n')
        saved = compiled(write(project / "runs/r", text)).plan
        assert saved is not None
        assert leads(saved) == leads(plan)


def test_the_statement_is_relative_within_a_project(project: Path) -> None:
    base, text = project / "specs", '# mine\ngraph g { node a = python("nets:net") }'
    assert moved_text(text, base, project / "runs/r") == (
        f'use "../../specs/"  # {HANDED_ON}\n\n{text}'
    )
    outside = project.parent / "elsewhere"
    assert moved_text(text, base, outside) == f'use "{base}/"  # {HANDED_ON}\n\n{text}'
    assert moved_text(text, base, base) == text


@pytest.mark.parametrize(
    "text",
    [
        "# mine\ngraph g {}\n",
        'data mnist { root = "/data" }',
        'data folder("/img") {}',
        'graph g { node t = torchvision("resnet18", weights="DEFAULT") }',
        "no spec at all",
    ],
)
def test_a_spec_without_paths_of_its_own_is_kept_as_it_is(text: str) -> None:
    assert moved_text(text, Path("/specs"), Path("/runs/r")) == text
