"""Files that are no specs: each gives one diagnostic, at once, whatever it is."""

import io
import os
import sys
from pathlib import Path

import pytest

from ktgdsl.compiler import compile_file
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.syntax.read import MAX_BYTES, read


def refused(path: str | Path) -> Diagnostic:
    """The only complaint about a file that cannot be read."""
    source, diagnostics = read(path)
    assert source is None
    assert len(diagnostics) == 1
    assert diagnostics[0].span is None
    return diagnostics[0]


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_text_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.ktg"
    path.write_bytes("# größe\r\ntrain { }\n".encode())
    source, diagnostics = read(path)
    assert diagnostics == ()
    assert source is not None
    assert source.path == str(path)
    assert source.text == "# größe\r\ntrain { }\n"


def test_the_path_stays_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.ktg").write_text("")
    monkeypatch.chdir(tmp_path)
    source, diagnostics = read("./a.ktg")
    assert source is not None
    assert (source.path, source.text, diagnostics) == ("./a.ktg", "", ())


def test_one_byte_order_mark_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.ktg"
    path.write_bytes(b"\xef\xbb\xbf\xef\xbb\xbftrain { }")
    source, _ = read(path)
    assert source is not None
    assert source.text == "\ufefftrain { }"


def test_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.ktg"
    assert refused(path).code == "E001"
    assert refused(path).message == f"there is no file `{path}`"
    assert refused(path).path == str(path)


@pytest.mark.parametrize("name", ["base.kgt", "bsae.ktg", "base", "Base.ktg"])
def test_one_beside_it_with_such_a_name(tmp_path: Path, name: str) -> None:
    for other in ("base.ktg", "data.ktg", "base.csv"):
        (tmp_path / other).touch()
    assert refused(tmp_path / name).help == f"did you mean `{tmp_path / 'base.ktg'}`?"


def test_none_beside_it_with_such_a_name(tmp_path: Path) -> None:
    (tmp_path / "b.ktg").touch()
    assert refused(tmp_path / "a.ktg").help is None
    assert refused(tmp_path / "nowhere" / "b.ktg").help is None


def test_directory(tmp_path: Path) -> None:
    assert refused(tmp_path).message == f"`{tmp_path}` is a directory, not a file"


def test_a_path_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ktg"
    path.write_text("")
    assert refused(path / "b.ktg").code == "E001"


def test_paths_that_no_system_takes() -> None:
    assert refused("a\0.ktg").code == "E001"
    assert refused("a" * 10_000).code == "E001"


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ktg"
    path.write_text("")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert refused(path).code == "E001"
    assert refused(path).message == "the file cannot be read: permission denied"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipe_and_device_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is a device or a pipe" in refused(tmp_path / "pipe").message
    assert "is a device or a pipe" in refused("/dev/zero").message


def test_size(tmp_path: Path) -> None:
    path = tmp_path / "a.ktg"
    path.write_bytes(b"#" * MAX_BYTES)
    assert read(path)[1] == ()
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert refused(path).code == "E003"


def test_not_utf8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "a.ktg"
    path.write_bytes(b"train {\n}\n# gr\xf6\xdfe\n")
    assert refused(path).code == "E002"
    assert refused(path).message == "byte 0xf6 in line 3 is not UTF-8"


def test_binary_and_utf16(tmp_path: Path) -> None:
    path = tmp_path / "a.ktg"
    path.write_bytes(b"\x7fELF\x00\x01")
    assert refused(path).message == "this is a binary file, not text"
    path.write_bytes("train { }".encode("utf-16"))
    assert refused(path).message == "the file is UTF-16 text"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"train { }")
    source, diagnostics = read("-")
    assert source is not None
    assert (source.path, source.text, diagnostics) == ("-", "train { }", ())
    stdin(monkeypatch, b"#" * (MAX_BYTES + 1))
    assert refused("-").code == "E003"
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-").code == "E001"


def test_a_working_folder_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "a.ktg"
    spec.write_text("train { epochs = 2 }\n")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    stdin(monkeypatch, b"train { }")
    for path in ("../a.ktg", "-"):
        (found,) = compile_file(path).diagnostics
        assert (found.code, found.help) == ("E001", "change to another folder")
    assert [each.code for each in compile_file(spec).diagnostics] == ["E106"]
