"""What a training is made of beside its plan: the user's own code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ktgdsl.backend.own_code import OwnFile, own_code
from ktgdsl.plan.model import Plan


@dataclass(frozen=True)
class Identity:
    """The user's own source files by name, as `ktgdsl.backend.own_code` finds them."""

    code: Mapping[str, OwnFile]

    def as_json(self) -> dict[str, Any]:
        """As `environment.json` has it: where each file is, and its SHA-256."""
        code = {n: {"path": str(f.path), "sha256": f.sha256} for n, f in self.code.items()}
        return {"code": code}


def identify(plan: Plan) -> Identity:
    """The identity of a training of the plan that starts now."""
    return Identity(own_code(plan))
