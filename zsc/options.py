"""Typed options: dataclasses read from plain mappings, each value checked once, with errors that name the option.

The annotation of a field says what its values are: ``int``, ``float``, ``bool``, ``str``, ``Literal``, lists of these
as ``tuple[X, ...]``, other dataclasses, ``X | None``. ``Annotated[X, least]`` with a number bounds it from below, and
with a function of the option's name and value leaves it to that. A class with a method ``from_mapping`` reads itself.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from zsc.errors import ZscError, suggestion

T = TypeVar("T")
Count = Annotated[int, 1]
Seed = Annotated[int, 0]
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
PLURALS = {int: "whole numbers", float: "numbers", bool: "truth values", str: "texts"}


def read(kind: type[T], values: Any, at: str = "") -> T:
    """Return the dataclass ``kind`` with the ``values`` of a mapping, which is called ``at`` in errors.

    Raises ZscError for an unknown option, one without a value, and a value that its field does not take.
    """
    if own_way := getattr(kind, "from_mapping", None):
        return own_way(values, at)
    hints = get_type_hints(kind, include_extras=True)
    own = {field.name: field for field in fields(kind) if field.init}  # type: ignore[arg-type]
    needed = {name for name, field in own.items() if field.default is MISSING and field.default_factory is MISSING}
    return kind(**_read_all({name: hints[name] for name in own}, needed, values, at))


def read_arguments(function: Callable[..., Any], values: Any, at: str) -> dict[str, Any]:
    """Return ``values`` as arguments of ``function``, checked by its annotations as :func:`read` checks fields."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    needed = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    return _read_all({name: hints[name] for name in parameters}, needed, values, at)


def _read_all(hints: Mapping[str, Any], needed: set[str], values: Any, at: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ZscError(f"{at}={values}: its options have names, such as {at}.{next(iter(hints), 'NAME')}.")
    for name in map(str, values):
        if name not in hints:
            raise ZscError(f"no option '{_key(at, name)}'.{suggestion(name, hints)} Known: {', '.join(hints)}.")
    for name in sorted(needed - set(values), key=list(hints).index):
        raise ZscError(f"{_key(at, name)} has no value. Give {_key(at, name)}=VALUE.")
    return {name: value_of(hints[name], value, _key(at, name)) for name, value in values.items()}


def value_of(hint: Any, value: Any, key: str) -> Any:
    """Return ``value``, of the option ``key``, as the annotation ``hint`` wants it.

    Raises ZscError if it does not fit.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bounded(inner[0], inner[1], value, key)
    if origin in (Union, types.UnionType):
        return _one_of(inner, value, key)
    if origin is Literal:
        if value not in inner:
            raise ZscError(f"{key}={shown(value)} is not one of {', '.join(inner)}.{suggestion(str(value), inner)}")
        return value
    if origin is tuple:
        return _listed(inner, value, key)
    if origin is Mapping:
        return _mapped(inner[1], value, key)
    if is_dataclass(hint):
        return read(hint, value, key)  # type: ignore[arg-type]
    if hint in WORDS and not _is_a(hint, value):
        raise ZscError(f"{key}={shown(value)} must be {WORDS[hint]}.")
    return value


def _bounded(hint: Any, bound: Any, value: Any, key: str) -> Any:
    if callable(bound):
        return bound(key, value)
    if not _is_a(hint, value) or value < bound:
        raise ZscError(f"{key}={shown(value)} must be {WORDS[hint]} of at least {bound}.")
    return value


def _one_of(hints: tuple[Any, ...], value: Any, key: str) -> Any:
    if value is None and type(None) in hints:
        return None
    kinds = [hint for hint in hints if hint is not type(None)]
    return value_of(next((hint for hint in kinds[:-1] if _is_a(hint, value)), kinds[-1]), value, key)


def _listed(inner: tuple[Any, ...], value: Any, key: str) -> tuple[Any, ...]:
    hint, many = inner[0], len(inner) == 2 and inner[1] is ...
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    words = f"a list of {PLURALS[plain]}" if plain in PLURALS else "a list"
    if not many:
        words = f"a list of {len(inner)} {PLURALS[plain]}"
    fits = isinstance(value, list | tuple) and (many or len(value) == len(inner))
    if not fits or (plain in PLURALS and not all(_is_a(plain, one) for one in value)):
        raise ZscError(f"{key}={shown(value)} must be {words}.")
    return tuple(value_of(hint, one, key) for one in value)


def _mapped(hint: Any, value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ZscError(f"{key}={shown(value)} must be a mapping of names.")
    return {name: value_of(hint, one, _key(key, name)) for name, one in value.items()}


def _is_a(hint: Any, value: Any) -> bool:
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return type(value) is int
    return not isinstance(hint, type) or isinstance(value, hint)


def shown(value: Any) -> str:
    """Return ``value`` as it is written on a command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested ``values`` by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def plain(options: Any) -> Any:
    """Return ``options`` as mappings, lists and plain values, of which :func:`read` makes the same again."""
    if hasattr(options, "to_mapping"):
        return options.to_mapping()
    if is_dataclass(options) and not isinstance(options, type):
        return plain_fields(options)
    if isinstance(options, Mapping):
        return {name: plain(value) for name, value in options.items()}
    return [plain(one) for one in options] if isinstance(options, list | tuple) else options


def plain_fields(options: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as :func:`plain` has them."""
    return {field.name: plain(getattr(options, field.name)) for field in fields(options) if field.init}


def _key(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
