"""The form of an explanation of a diagnostic code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """What a code means: one paragraph, and where one can be shown, an example.

    `bad` is a spec, or a command line that begins with `ktgc`, that yields the code and no
    other; `fixed` is the same without the mistake.
    """

    text: str
    bad: str | None = None
    fixed: str | None = None
