"""What lies in grammar/editors: settings that parse, and agree with the server and the grammar."""

import json
import re
import tomllib
from typing import Any

import pytest

from ktgdsl.cli.parser import VERBS
from ktgdsl.syntax.highlighter import KEYWORDS
from tests.paths import ROOT

EDITORS = ROOT / "grammar" / "editors"
README = (EDITORS / "README.md").read_text(encoding="utf-8")
TEXTMATE = json.loads((ROOT / "grammar" / "ktg.tmLanguage.json").read_text(encoding="utf-8"))


def snippet(language: str) -> str:
    """The block of a language in the page."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)
    return str(found)


def extension(name: str) -> dict[str, Any]:
    """A file of the extension for VS Code."""
    found: dict[str, Any] = json.loads((EDITORS / "vscode" / name).read_text(encoding="utf-8"))
    return found


def test_the_extension_for_vs_code() -> None:
    package = extension("package.json")
    (language,) = package["contributes"]["languages"]
    (grammar,) = package["contributes"]["grammars"]
    assert language["extensions"] == [f".{TEXTMATE['fileTypes'][0]}"]
    assert grammar["language"] == language["id"]
    assert grammar["scopeName"] == TEXTMATE["scopeName"]
    settings = package["contributes"]["configuration"]["properties"]
    assert settings["ktg.command"]["default"] == ["ktgc", "lsp"]
    assert "lsp" in VERBS
    for path in (package["main"], language["configuration"]):
        assert (EDITORS / "vscode" / path).is_file()
    # What `npm install` copies into the extension is the grammar.
    assert "../../ktg.tmLanguage.json" in package["scripts"]["prepare"]
    assert grammar["path"] == "./ktg.tmLanguage.json"
    words = re.compile(extension("language-configuration.json")["wordPattern"])
    assert all(words.fullmatch(word) for word in ("kl", "wrn28_2", "_a"))


def test_helix_and_sublime() -> None:
    helix = tomllib.loads(snippet("toml"))
    (language,) = helix["language"]
    assert language["file-types"] == ["ktg"]
    (server,) = language["language-servers"]
    command = helix["language-server"][server]
    assert [command["command"], *command["args"]] == ["ktgc", "lsp"]
    client = json.loads(snippet("json"))["clients"]["ktgc"]
    assert client["command"] == ["ktgc", "lsp"]
    assert client["selector"] == TEXTMATE["scopeName"]


@pytest.mark.parametrize("language", ["lua", "elisp"])
def test_neovim_and_emacs(language: str) -> None:
    text = snippet(language)
    assert '"ktgc"' in text
    assert '"lsp"' in text
    assert text.count("(") == text.count(")")


def test_sublime_has_the_keywords_of_the_grammar() -> None:
    text = (EDITORS / "ktg.sublime-syntax").read_text(encoding="utf-8")
    words = re.findall(r"'\\b\(?([a-z|]+)\)?\\b'", text)
    assert set("|".join(words).split("|")) == set(KEYWORDS.split())
