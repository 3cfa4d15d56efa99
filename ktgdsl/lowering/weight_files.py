"""Weight files that a spec names: found inside its folder tree and hashed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ktgdsl.diagnostics.source import Span
from ktgdsl.files import expanded
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.plan.model import WeightsFile


def weights(
    resolver: Resolver, written: str, span: Span, folder: Path, inside: Sequence[Path]
) -> WeightsFile | None:
    """The file of weights at a path relative to `folder`; None after a complaint.

    It has to lie inside of one of the folders `inside`.
    """
    try:
        place = (folder / expanded(written)).resolve()
        if not any(place.is_relative_to(each.resolve()) for each in inside):
            problem = f'the weights "{written}" lie outside of the folder tree of the spec'
        elif not place.is_file():
            problem = f'there is no file "{written}" with weights'
        else:
            with place.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            return WeightsFile.model_construct(path=written, file=str(place), sha256=digest)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problem = f'the weights "{written}" cannot be read: {reason}'
    resolver.complain("E406", problem, span, "paths are relative to the folder of the spec")
    return None
