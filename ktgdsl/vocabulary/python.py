"""Callables of the user's own, named by where they are."""

import json
import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.reads import UserFunction


def _where(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", text):
        raise ValueError('must be of the form "package.module:name"')
    return text


class Python(Entry):
    """Base of `python("pkg.module:fn", ...)`: further named arguments go to the callable.

    It is imported by `build`, `run` and `search`, never by `check`. It stands last among the
    bases of a class, as pydantic takes the configuration of the last.
    """

    model_config = ConfigDict(extra="allow")
    word: ClassVar[str] = "python"

    def user_function(self) -> UserFunction:
        """The callable with its arguments, as the first input of what calls it."""
        arguments = dict(self.call().arguments)
        return UserFunction(str(arguments.pop("function")), json.dumps(arguments))

    function: Annotated[
        str,
        AfterValidator(_where),
        Field(description='where the callable is: "package.module:name"'),
    ]
