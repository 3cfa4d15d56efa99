"""A damaged file, given to what reads it, and what becomes of it."""

import random
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ktgdsl.errors import KtgError


class Reader(NamedTuple):
    """A file, and the command that reads it from a copy of the folder that it lies in.

    `read` says what became of the file, or raises what the command does.
    """

    name: str
    folder: Path
    file: str
    read: Callable[[Path], str]


class ToldError(Exception):
    """A line was said of the folder: all that this needs to know."""


def damaged(content: bytes, places: int, seed: int) -> Iterator[bytes]:
    """The content cut short and, at another place, with a flipped bit, in turn."""
    draw = random.Random(f"{len(content)} {seed}")
    for number in range(places):
        at = draw.randrange(len(content))
        if number % 2:
            yield content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
        else:
            yield content[:at]


def outcomes(reader: Reader, places: int, seed: int, work: Path) -> Counter[str]:
    """What became of so many damaged copies of a file."""
    found: Counter[str] = Counter()
    copy = work / "copy"
    for content in damaged((reader.folder / reader.file).read_bytes(), places, seed):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(reader.folder, copy)
        (copy / reader.file).write_bytes(content)
        found[outcome(reader.read, copy)] += 1
    return found


def outcome(read: Callable[[Path], str], folder: Path) -> str:
    """What becomes of a damaged file in a folder."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return read(folder)
    except KtgError as error:
        return f"refused {error.diagnostics[0].code}"
    except ToldError:
        return "noted"
    except UserWarning:
        return "noted"
    except Exception as error:  # whatever it is, it is a bug
        return f"USED ({type(error).__name__}: {error})"


def as_before(found: object, known: object) -> str:
    return "not read" if found == known else "USED"
