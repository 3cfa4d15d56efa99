"""The language server as an editor meets it: over stdin and stdout, by the protocol."""

import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.format import format_source
from tests.editor.client import Client

pytest.importorskip("pygls")

SPEC = """\
graph g {
    node student = resnet8   # 😀 漢字 e\u0301
    node other = resnet14
    target student
    edge label -> student /* */
    edge other -> student : kl(T=3) via liner
}
"""
SOUND = SPEC.replace("/* */", "").replace("liner", "linear")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One session for all tests, in a folder where an import of torch would end it."""
    folder = tmp_path_factory.mktemp("editor")
    for module in ("torch", "optuna", "numpy"):
        (folder / f"{module}.py").write_text("raise SystemExit", encoding="utf-8")
    client = Client(folder)
    can = client.start()
    assert can["textDocumentSync"]["change"] == 1
    yield client
    assert client.stop() == 0
    assert client.shown == []
    assert client.errors == []


@pytest.fixture
def uri(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a text that is nowhere saved."""
    uri = f"untitled:{request.node.name}"
    yield uri
    client.close(uri)


def place(uri: str, text: str, part: str) -> dict[str, Any]:
    """Where a part of an ASCII line stands, as a request says it."""
    offset = text.index(part)
    line = text.count("\n", 0, offset)
    character = offset - text.rfind("\n", 0, offset) - 1
    position = {"line": line, "character": character}
    return {"textDocument": {"uri": uri}, "position": position}


def range_of(line: int, start: int, end: int) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": start},
        "end": {"line": line, "character": end},
    }


def test_mistakes_as_they_are_typed(client: Client, uri: str) -> None:
    first, *_, last = client.open(uri, SPEC)
    assert first["range"] == range_of(4, 26, 27)
    assert last["range"] == range_of(5, 40, 45)
    assert last["message"] == "there is no gate called `liner`\nhelp: did you mean `linear`?"
    assert (last["code"], last["severity"], last["source"]) == ("E201", 1, "ktgc")
    for version in range(2, 9):
        client.change(uri, SPEC[: -9 * (9 - version)], version)
    client.change(uri, SOUND, 9)
    assert client.diagnostics(uri, 9) == []
    twice = SOUND.replace("other =", "student =")
    client.change(uri, twice, 10)
    (found, *_) = client.diagnostics(uri, 10)
    (related,) = found["relatedInformation"]
    assert related["location"] == {"uri": uri, "range": range_of(1, 9, 16)}
    assert related["message"] == "first here"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_positions_are_those_of_the_editor(client: Client, uri: str, end: str) -> None:
    """In code units of UTF-16, behind a face of two."""
    text = f'# 😀\u2028\f{end}let x = "😀" y{end}'
    found = client.open(uri, text)
    assert found[0]["range"] == range_of(1, 13, 14)


def test_it_answers(client: Client, uri: str) -> None:
    client.open(uri, SOUND)
    here = place(uri, SOUND, "via linear")
    here["position"]["character"] += 6
    hover = client.ask("textDocument/hover", here)
    assert hover["contents"]["kind"] == "markdown"
    assert "**linear**, a gate" in hover["contents"]["value"]
    assert hover["range"] == range_of(5, 40, 46)
    items = client.ask("textDocument/completion", here)
    assert [each["label"] for each in items][:2] == ["through", "cutoff"]
    outline = client.ask("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    inner = [each["name"] for each in outline[0]["children"]]
    assert inner == ["student", "other", "target student", "label -> student", "other -> student"]


def test_names(client: Client, uri: str) -> None:
    client.open(uri, SOUND)
    here = place(uri, SOUND, "student : kl")
    (definition,) = client.ask("textDocument/definition", here)
    assert definition == {"uri": uri, "range": range_of(1, 9, 16)}
    context = {"context": {"includeDeclaration": False}}
    found = client.ask("textDocument/references", {**here, **context})
    assert [each["range"]["start"]["line"] for each in found] == [3, 4, 5]
    assert len(client.ask("textDocument/documentHighlight", here)) == 4
    assert client.ask("textDocument/prepareRename", here) == range_of(5, 18, 25)
    edit = client.ask("textDocument/rename", {**here, "newName": "pupil"})
    assert [each["newText"] for each in edit["changes"][uri]] == ["pupil"] * 4
    refusal = client.refusal("textDocument/rename", {**here, "newName": "other"})
    assert refusal == "`other` is the name of something else already"
    nowhere = place(uri, SOUND, "target")
    assert client.refusal("textDocument/prepareRename", nowhere).startswith("there is no name")


def test_formats_as_fmt_does(client: Client, uri: str) -> None:
    client.open(uri, SOUND)
    request = {"textDocument": {"uri": uri}, "options": {"tabSize": 2, "insertSpaces": False}}
    (edit,) = client.ask("textDocument/formatting", request)
    assert edit["newText"] == format_source(Source("x", SOUND))[0]
    assert edit["range"]["end"] == {"line": 7, "character": 0}
    client.change(uri, edit["newText"], 2)
    assert client.ask("textDocument/formatting", request) == []
    for version, text in enumerate((edit["newText"].replace("\n", "\r\n"), SPEC), start=3):
        client.change(uri, text, version)
        assert client.ask("textDocument/formatting", request) == []


def test_a_quick_fix(client: Client, uri: str) -> None:
    client.open(uri, SPEC)
    request = {"textDocument": {"uri": uri}, "range": range_of(5, 41, 41), "context": {}}
    (fix,) = client.ask("textDocument/codeAction", {**request, "context": {"diagnostics": []}})
    assert (fix["title"], fix["kind"]) == ("Change to `linear`", "quickfix")
    (edit,) = fix["edit"]["changes"][uri]
    assert edit == {"range": range_of(5, 40, 45), "newText": "linear"}


def test_files_that_are_used_and_vanish(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "näme with spaces 😀"
    folder.mkdir()
    recipe, spec = folder / "base.ktg", folder / "spec.ktg"
    recipe.write_text("train { epochs = 0 }", encoding="utf-8")
    text = f'use "base.ktg"\n{SOUND}'
    (found,) = client.open(spec.as_uri(), text)
    assert found["range"]["start"]["line"] == 0
    (related,) = found["relatedInformation"]
    assert related["location"] == {"uri": recipe.as_uri(), "range": range_of(0, 17, 18)}
    recipe.write_text("train { epochs = 2 }", encoding="utf-8")
    client.tell("textDocument/didSave", {"textDocument": {"uri": recipe.as_uri()}})
    assert client.diagnostics(spec.as_uri()) == []
    (there,) = client.ask("textDocument/definition", place(spec.as_uri(), text, "base.ktg"))
    assert there["uri"] == recipe.as_uri()
    recipe.unlink()
    folder.rmdir()
    change = {"changes": [{"uri": recipe.as_uri(), "type": 3}]}
    client.tell("workspace/didChangeWatchedFiles", change)
    assert [each["code"] for each in client.diagnostics(spec.as_uri())] == ["E001"]
    client.close(spec.as_uri())
    assert client.diagnostics(spec.as_uri()) == []


def test_a_text_that_is_not_open(client: Client, tmp_path: Path) -> None:
    gone = (tmp_path / "gone.ktg").as_uri()
    request = {"textDocument": {"uri": gone}, "position": {"line": 3, "character": 7}}
    assert client.ask("textDocument/definition", request) == []
    assert client.ask("textDocument/documentSymbol", {"textDocument": {"uri": gone}}) == []


def test_a_request_that_is_cancelled(client: Client, uri: str) -> None:
    """It has an answer all the same, and so has what comes after."""
    client.open(uri, SOUND)
    request = place(uri, SOUND, "student : kl")
    numbers = [client.send("textDocument/hover", request) for _ in range(5)]
    for number in numbers:
        client.tell("$/cancelRequest", {"id": number})
    assert all("result" in client.answer(number) for number in numbers)


def test_it_runs_nothing_of_a_spec(client: Client, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    uri = (tmp_path / "spec.ktg").as_uri()
    text = SOUND.replace("resnet14", 'python("mine:net")')
    assert client.open(uri, text) == []
    assert client.ask("textDocument/hover", place(uri, text, "python"))
    client.close(uri)


def test_where_pygls_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pygls", None)
    monkeypatch.setattr("sys.stdin", StringIO())
    assert cli.main(["lsp"]) == 1
    assert capsys.readouterr().err == (
        "error[E504]: the language server needs pygls, which is not installed\n"
        "help: pip install pygls, or ktgdsl with [lsp]\n"
    )


@pytest.mark.slow
def test_an_editor_that_hangs_up() -> None:
    command = [sys.executable, "-m", "ktgdsl", "lsp"]
    done = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
