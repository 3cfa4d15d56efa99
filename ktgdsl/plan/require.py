"""A plan as the argument of a public function: another type is refused with what to write."""

import json
import os

from ktgdsl.plan.model import Plan


def require_plan(argument: object, function: str) -> None:
    """Raises TypeError unless the argument of the public function of that name is a plan."""
    if isinstance(argument, Plan):
        return
    is_path = isinstance(argument, str | os.PathLike)
    what = "a path" if is_path else f"a {type(argument).__name__}"
    spec = json.dumps(str(argument) if is_path else "spec.ktg", ensure_ascii=False)
    raise TypeError(f"{what} is no plan; give a plan: ktgdsl.{function}(ktgdsl.load({spec}))")
