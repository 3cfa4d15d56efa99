"""The promises of SECURITY.md: what runs, what is read, what is fetched."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.paths import ROOT

PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
SPEC = """
graph g {
    node a = python("evil:net", width=8)
    node b = torchvision("resnet18", weights="DEFAULT")
    node c = timm("resnet18", pretrained=true)
    node d = resnet8 { weights = "evil.pt"  frozen = true }
    target a
    edge label -> a : ce + python("evil:loss")
    edge b, c, d -> a : kl via python("evil:gate")
}
"""
OWN = 'data python("evil:data") { classes = 10 }\n'
IMAGES = 'data folder("images")\n'
SPACE = """
graph g {
    node a = python("evil:net") | torchvision("resnet18", weights="DEFAULT")
    target a
    edge label -> a
}
data folder("images")
search { objective = [accuracy(a), -parameters(a), -flops(a)]  pruner = none }
"""
TABLE = 'title = "t"\nrows = [{ label = "own", spec = "own.ktg" }]\n'
EVIL = (
    "import os\nos.mkdir('ran')\ndef net(*_, **__): raise SystemExit(9)\nloss = gate = data = net\n"
)
QUIET = [
    "check own.ktg images.ktg cifar.ktg space.ktg", "check --pedantic own.ktg",
    "fmt --check own.ktg",
    "fmt --diff space.ktg", "plan own.ktg", "plan --json cifar.ktg", "plan images.ktg",
    "plan space.ktg", "graph own.ktg", "graph space.ktg", "explain kl", "explain python",
    "diff own.ktg cifar.ktg", "diff space.ktg images.ktg", "build own.ktg --emit tree",
    "build own.ktg --emit plan", "runs .", "completion bash",
]  # fmt: skip
RUNNING = ["build own.ktg --emit program", "run own.ktg", "table . --dry-run"]
DIGITS = "graph g { node a = resnet8 target a edge label -> a } data digits { samples = 64 } "
CIFAR = DIGITS.replace("digits { samples = 64 }", "cifar10")
FETCHING = {
    "run digits": (f"{DIGITS} train {{ epochs = 1 }}", 0, set()),
    "run cifar": (CIFAR, 1, {"www.cs.toronto.edu"}),
    "run rooted": (CIFAR.replace("cifar10", 'cifar10 { root = "images" }'), 1, set()),
    "build plain": (DIGITS.replace("resnet8", 'torchvision("resnet18")'), 0, set()),
    "build trained": (
        DIGITS.replace("resnet8", 'torchvision("resnet18", weights="DEFAULT")'),
        1,
        {"download.pytorch.org"},
    ),
}
"""Commands, each with its spec, its exit code and the hosts that it asks."""


class Evil:
    """What unpickles by running code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def watched(folder: Path, commands: list[str], stdin: bytes = b"") -> dict[str, dict[str, Any]]:
    """What each command did, all in one fresh process in a folder."""
    out = folder.parent / "watched.json"
    arguments = [
        sys.executable,
        "-m",
        "tests.watched",
        str(out),
        json.dumps([c.split() for c in commands]),
    ]
    cache = folder.parent / "cache"
    paths = {
        "PYTHONPATH": str(ROOT),
        "KTGDSL_CACHE": str(cache),
        "KTGDSL_DATA": str(cache / "data"),
    }
    environment = {**os.environ, **paths, "TORCH_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(arguments, cwd=folder, input=stdin, env=environment, capture_output=True)
    assert out.exists(), done.stderr.decode()
    return dict(zip(commands, json.loads(out.read_text("utf-8")), strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Specs that name everything that could be run or fetched."""
    path = tmp_path_factory.mktemp("hostile") / "specs"
    for split in ("train", "test"):
        for name in "xy":
            (path / "images" / split / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(path / "images" / split / name / "1.png")
    (path / "evil.py").write_text(EVIL)
    torch.save({"w": Evil()}, path / "evil.pt")
    specs = {"own": SPEC + OWN, "images": SPEC + IMAGES, "cifar": f"{SPEC} data cifar10"}
    for name, text in {**specs, "space": SPACE}.items():
        (path / f"{name}.ktg").write_text(text)
    (path / "table.toml").write_text(TABLE)
    return path


@pytest.fixture(scope="module")
def quiet(folder: Path) -> dict[str, dict[str, Any]]:
    """What the verbs do that run nothing."""
    return watched(folder, QUIET)


@pytest.fixture(scope="module")
def others(folder: Path, quiet: object) -> dict[str, dict[str, Any]]:
    """What the other verbs do, where there is no network."""
    for name, (text, *_) in FETCHING.items():
        (folder / f"{name.split()[1]}.ktg").write_text(text)
    return watched(folder, [*RUNNING, *(f"{each}.ktg" for each in FETCHING)])


class TestWhatRuns:
    @pytest.mark.parametrize("command", QUIET)
    def test_nothing_but_the_answer(
        self, quiet: dict[str, Any], command: str, folder: Path
    ) -> None:
        assert quiet[command]["deeds"] == []
        assert quiet[command]["code"] == int("fmt" in command), quiet[command]["printed"]
        assert not (folder / "ran").exists()

    def test_nothing_by_the_language_server(self, folder: Path) -> None:
        uri = (folder / "own.ktg").as_uri()
        document = {"uri": uri, "languageId": "ktg", "version": 1, "text": SPEC + OWN}
        place = {"textDocument": {"uri": uri}, "position": {"line": 2, "character": 20}}
        start = {"line": 0, "character": 0}
        whole = {
            "range": {"start": start, "end": {"line": 9, "character": 0}},
            "context": {"diagnostics": []},
        }
        options = {"options": {"tabSize": 4, "insertSpaces": True}}
        messages = [
            _request("initialize", {"processId": None, "rootUri": None, "capabilities": {}}),
            _notice("textDocument/didOpen", {"textDocument": document}),
            *(
                _request(f"textDocument/{ask}", place)
                for ask in ("hover", "completion", "definition")
            ),
            _request("textDocument/codeAction", {**place, **whole}),
            _request("textDocument/formatting", {**place, **options}),
            _request("shutdown", None),
            _notice("exit", None),
        ]
        (found,) = watched(folder, ["lsp"], b"".join(map(_framed, messages))).values()
        assert found["deeds"] == []
        assert not (folder / "ran").exists()

    def test_the_others_run_what_a_spec_names(self, others: dict[str, Any]) -> None:
        """So that the tests above would see it."""
        first, *_ = (others[command] for command in RUNNING)
        assert first["deeds"][:2] == ["code evil.py", "file ran"]
        for command in RUNNING:
            assert "evil:data" in others[command]["printed"]

    def test_verbs_are_all_on_the_page(self) -> None:
        from ktgdsl.cli.parser import VERBS

        assert {*re.findall(r"`(\w+)(?: --[\w-]+(?: [\w|]+)?)?`", PAGE)} >= {*VERBS}


_NUMBERS = iter(range(1, 1000))


def _request(method: str, params: Any) -> dict[str, Any]:
    return {"id": next(_NUMBERS), **_notice(method, params)}


def _notice(method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def _framed(message: dict[str, Any]) -> bytes:
    content = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(content), content)


class TestWhatIsFetched:
    @pytest.mark.parametrize("command", FETCHING)
    def test_only_what_the_spec_names(self, others: dict[str, Any], command: str) -> None:
        _, code, hosts = FETCHING[command]
        found = others[f"{command}.ktg"]
        asked = {each.split()[1] for each in found["deeds"] if each.startswith("network ")}
        assert asked == hosts
        assert found["code"] == code, found["printed"]

    @pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")
    def test_weights_of_timm_only_if_pretrained(self, folder: Path) -> None:
        for name, more in (("plain", ""), ("trained", ", pretrained=true")):
            network = f'timm("resnet18"{more})'
            (folder / f"{name}.ktg").write_text(DIGITS.replace("resnet8", network))
        plain, trained = watched(folder, ["build plain.ktg", "build trained.ktg"]).values()
        assert not [each for each in plain["deeds"] if each.startswith("network ")]
        assert [each for each in trained["deeds"] if each.startswith("network ")]


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 15
    for file, name in named:
        assert not name or f"def {name}(" in (ROOT / file).read_text("utf-8"), name


def licences() -> dict[str, str]:
    """The licence of each package in the page's table."""
    rows = re.findall(
        r"^\| ([\w, -]+) \| .+ \| (.+) \|$", PAGE.partition("## Dependencies")[2], re.M
    )
    return {name: licence for names, licence in rows for name in names.split(", ")}


def declared(package: str) -> set[str]:
    """What the metadata of an installed package say of its licence."""
    facts = metadata(package)
    classes = [c.rpartition(" :: ")[2] for c in facts.get_all("Classifier") or () if "License" in c]
    said = [t for f in ("License-Expression", "License") for t in facts.get_all(f) or ()]
    return {*classes, *(each.splitlines()[0] for each in said if each)}


def test_the_licence_of_every_dependency_is_on_the_page() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    named = {re.split(r"[<>=\[]", each)[0] for group in groups for each in group}
    assert {*licences()} - {"package"} == named
    installed = {each for each in named if find_spec(each.replace("-", "_"))}
    assert len(installed) > 5
    wrong = {each: declared(each) for each in installed if licences()[each] not in declared(each)}
    assert not wrong
