"""Reading: a file or standard input as a `Source`, or the diagnostic of what is wrong with it."""

import os
import re
import stat
import sys
from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span

MAX_BYTES = 1 << 20
STDIN = "-"


def read(path: str | os.PathLike[str]) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    """The text of the file at `path`, or of standard input for "-".

    The source keeps the path as the user wrote it. At most `MAX_BYTES` are read, and only
    from regular files: a device or pipe might never end.
    """
    name = os.fspath(path)
    try:
        data = _standard_input() if name == STDIN else _file(Path(name))
    except _RefusedError as refused:
        return None, (Diagnostic(refused.code, refused.message, help=refused.help, path=name),)
    except (OSError, ValueError) as error:
        # ValueError: a path with a NUL character, which no system call takes.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        message = f"the file cannot be read: {reason[:1].lower()}{reason[1:]}"
        return None, (Diagnostic("E001", message, path=name),)
    return _decode(name, data)


class _RefusedError(Exception):
    def __init__(self, code: str, message: str, help_: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help_


def _file(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        guess = nearby(path)
        help_ = f"did you mean `{path.with_name(guess)}`?" if guess else None
        raise _RefusedError("E001", f"there is no file `{path}`", help_) from None
    if stat.S_ISDIR(mode):
        raise _RefusedError(
            "E001", f"`{path}` is a directory, not a file", "name a .ktg file in it"
        )
    if not stat.S_ISREG(mode):
        raise _RefusedError(
            "E001", f"`{path}` is a device or a pipe, not a file", "use `-` for stdin"
        )
    with path.open("rb") as file:
        return _limited(file.read(MAX_BYTES + 1))


def nearby(path: Path) -> str | None:
    """The name of the spec beside `path` that was probably meant, or None."""
    from difflib import get_close_matches  # only a mistake needs it

    try:
        stems = sorted(each.stem for each in path.parent.iterdir() if each.suffix == ".ktg")
    except OSError:
        return None
    found = get_close_matches(path.stem, stems, n=1, cutoff=0.7)
    return f"{found[0]}.ktg" if found else None


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise _RefusedError("E001", "standard input is closed")
    return _limited(sys.stdin.buffer.read(MAX_BYTES + 1))


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise _RefusedError("E003", "the file is larger than 1 MiB, the most that a spec may have")
    return data


def not_text(source: Source) -> Diagnostic | None:
    """The first character that no UTF-8 text holds: NUL, or what stands for a foreign byte."""
    if source.text.isascii() and "\0" not in source.text:
        return None
    found = re.search("[\0\ud800-\udfff]", source.text)
    if found is None:
        return None
    code, what = ord(found[0]), "a NUL character"
    if code:  # Python writes the bytes of a command line that are not UTF-8 as U+DC80 to U+DCFF
        is_byte = 0xDC80 <= code <= 0xDCFF
        what = f"the byte 0x{code - 0xDC00:02x}" if is_byte else f"half a character, U+{code:X}"
    message = f"the text holds {what}, which UTF-8 text does not"
    return Diagnostic("E002", message, Span(source.path, *found.span()))


def unusable_folder(folder: Path, source: str) -> Diagnostic | None:
    """An error if the working folder is gone or the folder's path is not UTF-8; else None."""
    try:
        path = folder.absolute()
        str(path).encode()
    except FileNotFoundError:
        message = "the working folder is gone, so that relative paths lead nowhere"
        return Diagnostic("E001", message, help="change to another folder", path=source)
    except UnicodeEncodeError:
        message = f"the folder of the spec has a path that is not UTF-8: {path}"
        return Diagnostic("E002", message, help="rename the folder", path=source)
    return None


def _decode(name: str, data: bytes) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        message = "this is a binary file, not text"
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            message = "the file is UTF-16 text"
        help_ = "a spec is a text file in UTF-8"
        return None, (Diagnostic("E002", message, help=help_, path=name),)
    try:
        return Source(name, data.decode("utf-8")), ()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} in line {line} is not UTF-8"
        help_ = "save the file as UTF-8"
        return None, (Diagnostic("E002", message, help=help_, path=name),)
