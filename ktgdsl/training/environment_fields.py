"""Validates the fields of `environment.json` that a resume depends on."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_THREADS = 1024
"""More threads than any machine has cores; a process that asks for many more is killed."""


class _Code(BaseModel):
    path: str
    sha256: str


class _Resumption(BaseModel):
    code: dict[str, _Code] = {}


class _Environment(BaseModel):
    """Fields that are not here are only for people to read."""

    model_config = ConfigDict(strict=True, defer_build=True)

    plan: str = ""
    spec: str = ""
    device: str = "cpu"
    devices: Annotated[list[str], Field(min_length=1)] = ["cpu"]
    threads: Annotated[int, Field(ge=1, le=MAX_THREADS)] = 1
    processes: Annotated[int, Field(ge=1)] = 1
    workers: Annotated[int, Field(ge=1, le=MAX_THREADS)] = 1
    deterministic: bool = False
    sampler: str = ""
    pruner: str = ""
    versions: dict[str, str | None] = {}
    code: dict[str, _Code] = {}
    data: str | None = None
    resumed: list[_Resumption] = []


def invalid_setting(environment: Mapping[str, Any]) -> str | None:
    """The first invalid field, with what is wrong, in words; None if all are valid."""
    try:
        _Environment.model_validate(environment)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        return f"`{field}`: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return None
