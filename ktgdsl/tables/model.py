"""A table of published numbers and the specs that give ours: `table.toml` in a folder."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import SpecError
from ktgdsl.vocabulary.call import Data
from ktgdsl.vocabulary.registry import closest

FILE = "table.toml"
Number = Annotated[float, Field(allow_inf_nan=False)]


class Row(Data):
    """A row: its published accuracy, and what is run for ours.

    `spec` is trained, or `space` is searched and the graph that is found trained; a row with
    neither is cited only. `published` is mean and standard deviation in percent, or the mean
    alone. `nodes` and `method` are the place of its bar in a chart.
    """

    label: Annotated[str, Field(min_length=1)]
    published: tuple[Number, ...] | None = None
    spec: str | None = None
    space: str | None = None
    data: str | None = None
    """The data set to train on, instead of the spec's."""
    searched_on: str | None = None
    """The data set to search on, `data` unless it is given."""
    set: tuple[str, ...] = ()
    """Overrides of what is trained, such as "train.epochs=2"."""
    nodes: Annotated[int, Field(ge=1)] | None = None
    method: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.published is not None and len(self.published) not in (1, 2):
            raise ValueError("`published` is [mean, deviation] or [mean], in percent")
        if self.spec is not None and self.space is not None:
            raise ValueError("a row has a `spec` or a `space`, not both")
        if self.spec is None and self.space is None and self.set:
            raise ValueError("`set` is of no use without a `spec` or a `space`")
        if self.searched_on is not None and self.space is None:
            raise ValueError("`searched_on` needs a `space` to be searched")
        return self


class Extra(Data):
    """What else a data set changes: overrides of any file, of a spec, and of a space."""

    set: tuple[str, ...] = ()
    spec: tuple[str, ...] = ()
    space: tuple[str, ...] = ()


class Table(Data):
    """A table. `published_runs` is how many runs a published number is the mean of."""

    title: str
    published_runs: Annotated[int, Field(ge=1)]
    rows: tuple[Row, ...]
    data: Annotated[dict[str, Extra], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _rows_differ(self) -> Self:
        if not self.rows:
            raise ValueError("it has no rows")
        labels = [row.label for row in self.rows]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"two rows have the label `{twice}`")
        return self

    def overrides(self, row: Row) -> list[str]:
        """What overrides the row's file: of the data set that it is trained or searched on."""
        name = (row.searched_on or row.data) if row.space is not None else row.data
        extra = self.data.get(name or "", Extra())
        own = extra.space if row.space is not None else (*extra.spec, *row.set)
        return [*([f"data={name}"] if name else []), *extra.set, *own]

    def found(self, row: Row) -> list[str]:
        """What overrides a graph that was found: it keeps all but the data set searched on."""
        changed = row.data is not None and row.searched_on not in (None, row.data)
        return [*([f"data={row.data}"] if changed else []), *row.set]


def read_table(folder: str | Path) -> Table:
    """The table of a folder.

    Raises SpecError when there is none (E001), or it is no TOML or has a mistake (E509).
    """
    path = Path(folder, FILE)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        help = f"name a folder that has a {FILE}, such as specs/paper/table1"
        message = f"cannot read {path}: {reason}"
        raise SpecError([Diagnostic("E001", message, help=help, path=str(path))]) from None
    except UnicodeDecodeError:
        raise _wrong(path, [f"{path} is not UTF-8 text"]) from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, [f"{path} is not TOML: {error}"]) from None
    try:
        return Table.model_validate(content)
    except ValidationError as error:
        raise _wrong(path, [*_messages(error, content)]) from None


def _wrong(path: Path, messages: list[str]) -> SpecError:
    return SpecError([Diagnostic("E509", message, path=str(path)) for message in messages])


def _messages(error: ValidationError, content: dict[str, object]) -> list[str]:
    """A sentence for each mistake, with the row it is in and what was probably meant."""
    told = []
    for each in error.errors():
        where, message = list(each["loc"]), each["msg"].removeprefix("Value error, ")
        place = "the table"
        fields: type[Data] = Table
        if where[:1] == ["rows"] and len(where) > 1:
            place, fields = _row(content, where[1]), Row
            where = where[2:]
        elif where[:1] == ["data"] and len(where) > 1:
            place, fields = f"the table's data.{where[1]}", Extra
            where = where[2:]
        name = ".".join(map(str, where))
        if each["type"] == "extra_forbidden":
            near = closest(name, [*fields.model_fields])
            known = ", ".join(fields.model_fields)
            hint = f"did you mean `{near}`?" if near else f"there is {known}"
            told.append(f"{place} has no `{name}`; {hint}")
        elif each["type"] == "missing":
            told.append(f"{place} lacks `{name}`")
        else:
            told.append(f"{place}{f', `{name}`' * bool(name)}: {message}")
    return told


def _row(content: dict[str, object], number: str | int) -> str:
    rows = content.get("rows")
    assert isinstance(number, int)
    row = rows[number] if isinstance(rows, list) else None
    label = row.get("label") if isinstance(row, dict) else None
    return f"row `{label}`" if isinstance(label, str) else f"row {number + 1}"
