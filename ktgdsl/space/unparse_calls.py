"""Unparses the parts of plans: gates, calls with their arguments, values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_origin

from pydantic.fields import FieldInfo

from ktgdsl.plan.model import Call, Constant, Gate, GateCall, Product, Sum
from ktgdsl.vocabulary.call import format_number, format_path
from ktgdsl.vocabulary.entry import Entry, Parameters, alternatives
from ktgdsl.vocabulary.registry import entry


def gate_text(gate: Gate) -> str:
    """A gate as it stands after `via`."""
    match gate:
        case Constant():
            return format_number(gate.value)
        case GateCall():
            return call_text("gate", gate.gate)
        case Product(factors=(Constant(value=-1.0), *others)):
            return f"-{gate_text(Product(factors=tuple(others)))}"
        case Product():
            return " * ".join(
                f"({gate_text(each)})" if isinstance(each, Sum) else gate_text(each)
                for each in gate.factors
            )
        case Sum():
            return added([gate_text(each) for each in gate.terms])


def weighted(coefficient: float, loss: str) -> str:
    """A loss with its coefficient, which goes without saying where it is 1."""
    if abs(coefficient) == 1:
        return loss if coefficient == 1 else f"-{loss}"
    return f"{format_number(coefficient)} * {loss}"


def added(terms: Sequence[str]) -> str:
    """A sum; a term that begins with a minus is subtracted."""
    first, *more = terms
    return first + "".join(
        f" - {each[1:]}" if each.startswith("-") else f" + {each}" for each in more
    )


def call_text(kind: str, call: Call, names: Mapping[str, str] | None = None) -> str:
    """A word with its arguments, without defaults unless it is an optimiser."""
    arguments = ", ".join(arguments_text(kind, call, names))
    return f"{call.name}({arguments})" if arguments else call.name


def arguments_text(kind: str, call: Call, names: Mapping[str, str] | None = None) -> Iterator[str]:
    """The arguments of a word; those of gates and the first text of others by position."""
    found = entry(kind, call.name)
    assert found is not None
    arguments: dict[str, Any] = dict(call.arguments)
    T = arguments.get("T", 1.0)
    if "scale" in arguments and isinstance(T, float | int) and arguments["scale"] == T**2:
        del arguments["scale"]  # which is the default at any temperature
    defaults = defaults_of(found)
    in_place = True
    for name, value in arguments.items():
        usual = name in defaults and defaults[name] == value and kind != "optimizer"
        if usual or value is None:
            in_place = False
            continue
        field = found.model_fields.get(name)
        if name == found.variadic:
            yield from (value_text(each, names) for each in value)
        elif field is None:  # for a callable, which may tell 2.0 from 2
            yield f"{name}={value_text(value, names, exact=True)}"
        elif get_origin(field.annotation) is Literal:
            yield f"{name}={value}"
        else:
            bare = in_place and (
                kind == "gate" or (field.is_required() and field.annotation is str)
            )
            text = _nested_text(field, value, names)
            yield text if bare else f"{name}={text}"


def _nested_text(field: FieldInfo, value: Any, names: Mapping[str, str] | None) -> str:
    """A value of a parameter, which may be a word of another kind."""
    match value:
        case {"name": str(name), "arguments": dict(arguments)}:
            kinds = [
                each.kind
                for each in alternatives(field.annotation)
                if isinstance(each, type) and issubclass(each, Entry)
            ]
            return call_text(kinds[0], Call(name=name, arguments=arguments), names)
    return value_text(value, names)


def defaults_of(cls: type[Parameters]) -> dict[str, Any]:
    """The defaults of an entry's parameters as they stand in plans."""
    found = {}
    for name, field in cls.model_fields.items():
        if not field.is_required():
            value = field.get_default(call_default_factory=True)
            dump = getattr(value, "call", None)
            found[name] = {**dump().model_dump()} if dump else value
    return found


def value_text(value: Any, names: Mapping[str, str] | None = None, *, exact: bool = False) -> str:
    """A value as written; `exact` keeps whole numbers that are floats apart from integers."""
    match value:
        case {"node": node, "tap": tap}:
            return f"{(names or {}).get(node, node)}.{format_path(tap)}"
        case {"node": name}:
            return (names or {}).get(name, name)
        case list():
            return f"[{', '.join(value_text(each, names, exact=exact) for each in value)}]"
        case float() if exact:
            return repr(value)
    # The text of a call is what its arguments are printed with.
    return str(Call(name="x", arguments={"x": value})).removeprefix("x(x=").removesuffix(")")
