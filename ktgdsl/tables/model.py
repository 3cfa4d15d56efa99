"""The model of `table.toml`: published numbers, and the specs or runs that give ours."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import SpecError
from ktgdsl.vocabulary.call import Data
from ktgdsl.vocabulary.spelling import closest

FILE = "table.toml"
Number = Annotated[float, Field(allow_inf_nan=False)]


class Row(Data):
    """A row: its published accuracy, and what is run for ours.

    `spec` is trained, or `space` is searched and the graph that is found trained, or `run` is the
    folder of a finished run; a row with none of them is cited only. `published` is mean and
    standard deviation in percent, or the mean alone. `nodes` and `method` are the place of its bar
    in a chart.
    """

    label: Annotated[str, Field(min_length=1)]
    published: tuple[Number, ...] | None = None
    spec: str | None = None
    space: str | None = None
    run: str | None = None
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
        if self.run is not None and (self.spec or self.space) is not None:
            raise ValueError("a row has a `run` or what is to be trained, not both")
        if self.spec is None and self.space is None and self.set:
            raise ValueError("`set` is of no use without a `spec` or a `space`")
        if self.searched_on is not None and self.space is None:
            raise ValueError("`searched_on` needs a `space` to be searched")
        return self


class DataOverrides(Data):
    """Overrides that go with a data set: of every file, of a spec, and of a space."""

    set: tuple[str, ...] = ()
    spec: tuple[str, ...] = ()
    space: tuple[str, ...] = ()


class Table(Data):
    """A table. `published_runs` is how many runs a published number is the mean of, if any is."""

    title: str
    published_runs: Annotated[int, Field(ge=1)] | None = None
    rows: tuple[Row, ...]
    data: Annotated[dict[str, DataOverrides], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _rows_differ(self) -> Self:
        if not self.rows:
            raise ValueError("it has no rows")
        labels = [row.label for row in self.rows]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"two rows have the label `{twice}`")
        if self.published_runs is None and any(row.published for row in self.rows):
            raise ValueError(
                "`published_runs` says of how many runs a published number is the mean"
            )
        return self

    def overrides(self, row: Row) -> list[str]:
        """Overrides of the row's file: of the data set that it is trained or searched on."""
        data = (row.searched_on or row.data) if row.space is not None else row.data
        with_data = self.data.get(data or "", DataOverrides())
        own = with_data.space if row.space is not None else (*with_data.spec, *row.set)
        return [*([f"data={data}"] if data else []), *with_data.set, *own]

    def overrides_of_best(self, row: Row) -> list[str]:
        """Overrides of the graph that a search found: it keeps all but the data set searched on."""
        changed = row.data is not None and row.searched_on not in (None, row.data)
        return [*([f"data={row.data}"] if changed else []), *row.set]


def read_table(folder: str | Path) -> Table:
    """The table of a folder.

    Raises SpecError when there is none (E001), or it is no TOML or has a mistake (E509).
    """
    path = Path(folder, FILE)
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise _spec_error(path, [f"{path} is not UTF-8 text"]) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        help = f"name a folder that has a {FILE}, such as specs/paper/table1"
        message = f"cannot read {path}: {reason}"
        raise SpecError([Diagnostic("E001", message, help=help, path=str(path))]) from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _spec_error(path, [f"{path} is not TOML: {error}"]) from None
    except RecursionError:
        raise _spec_error(path, [f"{path} is nested too deeply"]) from None
    try:
        return Table.model_validate(content)
    except ValidationError as error:
        raise _spec_error(path, [*_messages(error, content)]) from None


def _spec_error(path: Path, messages: list[str]) -> SpecError:
    return SpecError([Diagnostic("E509", message, path=str(path)) for message in messages])


def _messages(error: ValidationError, content: dict[str, object]) -> list[str]:
    """A sentence for each mistake, with the row it is in and what was probably meant."""
    messages = []
    for each in error.errors():
        path, message = list(each["loc"]), each["msg"].removeprefix("Value error, ")
        place = "the table"
        model: type[Data] = Table
        if path[:1] == ["rows"] and len(path) > 1:
            place, model = _row(content, path[1]), Row
            path = path[2:]
        elif path[:1] == ["data"] and len(path) > 1:
            place, model = f"the table's data.{path[1]}", DataOverrides
            path = path[2:]
        name = ".".join(map(str, path))
        if each["type"] == "extra_forbidden":
            near = closest(name, [*model.model_fields])
            known = ", ".join(model.model_fields)
            hint = f"did you mean `{near}`?" if near else f"there is {known}"
            messages.append(f"{place} has no `{name}`; {hint}")
        elif each["type"] == "missing":
            messages.append(f"{place} lacks `{name}`")
        else:
            messages.append(f"{place}{f', `{name}`' * bool(name)}: {message}")
    return messages


def _row(content: dict[str, object], number: str | int) -> str:
    rows = content.get("rows")
    assert isinstance(number, int)
    row = rows[number] if isinstance(rows, list) else None
    label = row.get("label") if isinstance(row, dict) else None
    return f"row `{label}`" if isinstance(label, str) else f"row {number + 1}"
