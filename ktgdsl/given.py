"""What is given to functions of the package, looked at where another type is a likely mistake."""

import json
import os
from collections.abc import Iterable

from ktgdsl.plan.model import Plan


def require_plan(given: object, taker: str) -> None:
    """Raises TypeError unless it is a plan; `taker` is the function that it is given to."""
    if isinstance(given, Plan):
        return
    what = "a path" if isinstance(given, str | os.PathLike) else f"a {type(given).__name__}"
    spec = json.dumps(str(given) if what == "a path" else "spec.ktg", ensure_ascii=False)
    raise TypeError(f"{what} is no plan; give a plan: ktgdsl.{taker}(ktgdsl.load({spec}))")


def require_several(settings: Iterable[str]) -> None:
    """Raises TypeError for a text, each of whose characters would be an override."""
    if isinstance(settings, str):
        raise TypeError(
            f"overrides are a list of texts: [{json.dumps(settings, ensure_ascii=False)}]"
        )
