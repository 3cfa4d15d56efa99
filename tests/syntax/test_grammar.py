"""The grammar is strict LALR(1), and its saved parse table is used only where it is sound."""

import os
import stat
from pathlib import Path

import lark
import pytest

from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax import grammar
from ktgdsl.syntax.builder import source_path
from ktgdsl.syntax.lexer import tokenize
from ktgdsl.syntax.tree import Setting
from tests.paths import TESTS

GOOD = sorted((TESTS / "good").glob("*.ktg"))


@pytest.fixture(scope="module")
def strict() -> lark.Lark:
    """The parser from the grammar's text; conflicts and colliding terminals are errors."""
    return grammar.build(strict=True)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_tokens_are_those_of_the_grammar(path: Path, strict: lark.Lark) -> None:
    text = path.read_text(encoding="utf-8-sig")
    grammar.comments.set([])
    lexed = tokenize(Source("a.ktg", text))
    assert lexed.tokens == list(strict.lex(text))
    assert lexed.errors == []


def test_every_terminal_has_a_name(strict: lark.Lark) -> None:
    """Lark names those written in a rule itself, and leaves them out of the tree."""
    assert not [t.name for t in strict.terminals if t.name.startswith("__")]
    filtered = [s for rule in strict.rules for s in rule.expansion if getattr(s, "filter_out", 0)]
    assert filtered == []


class TestTheSavedParseTable:
    """It is Lark's own, which loading unpickles."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))
        return tmp_path / "parser"

    def works(self, capfd: pytest.CaptureFixture[str]) -> bool:
        """Whether a new parser parses and nothing was said on its way."""
        parser = grammar.build(grammar.cache_file())
        source_path.set("a.ktg")
        setting = parser.parse("a = 1", start="setting")
        return isinstance(setting, Setting) and capfd.readouterr() == ("", "")

    def written(self, folder: Path) -> int:
        """When the table was written."""
        (path,) = folder.glob("*.pickle")
        return path.stat().st_mtime_ns

    def test_is_written_once_where_only_the_user_can_write(
        self, folder: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert self.works(capfd)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        first = self.written(folder)
        assert self.works(capfd)
        assert self.written(folder) == first

    @pytest.mark.parametrize("fault", ["empty", "damaged", "stale", "cut off", "one bit"])
    def test_is_silently_made_anew_where_it_is_stale_or_damaged(
        self, fault: str, folder: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert self.works(capfd)
        (path,) = folder.glob("*.pickle")
        sound = path.read_bytes()
        contents = {
            "empty": b"",
            "damaged": sound[:200] + b"damaged" + sound[207:],
            "stale": b"0" * 64 + sound[64:],
            "cut off": sound[:-100],
            "one bit": sound[:-5000] + bytes([sound[-5000] ^ 4]) + sound[-4999:],
        }
        path.write_bytes(contents[fault])
        assert self.works(capfd)
        repaired = self.written(folder)
        assert path.read_bytes() != contents[fault]
        assert self.works(capfd)
        assert self.written(folder) == repaired

    def test_is_not_read_where_others_can_write(
        self, folder: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert self.works(capfd)
        folder.chmod(0o777)
        assert grammar.cache_file() is None
        assert self.works(capfd)

    def test_is_not_needed(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        folder.write_bytes(b"")  # no folder can be made there
        assert grammar.cache_file() is None
        assert self.works(capfd)

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root can write anywhere")
    def test_is_not_needed_in_a_folder_that_cannot_be_written(
        self, folder: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        folder.mkdir(mode=0o500)
        assert self.works(capfd)
