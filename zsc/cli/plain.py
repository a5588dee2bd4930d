"""The options of commands that compose no config: each word is one of them, read by the kind of its field."""

from collections.abc import Sequence
from typing import Any, TypeVar, get_args, get_type_hints

from zsc.cli.flags import split_arguments
from zsc.cli.words import at_home, unquoted
from zsc.errors import ZscError, first_line
from zsc.options import read

T = TypeVar("T")


def plain_options(kind: type[T], words: Sequence[str]) -> T:
    """Return ``words`` as the options ``kind``; ``a.b=VALUE`` is ``b`` of the mapping ``a``.

    Texts are taken as they stand, anything else as YAML has it. Raises ZscError for flags, and values that do not fit.
    """
    flags, overrides = split_arguments(words)
    if flags:
        raise ZscError(f"{flags[0]}: this command takes no flags. --help lists its options.")
    hints, values = get_type_hints(kind), dict[str, Any]()
    for override in overrides:
        key, _, text = override.partition("=")
        name, dot, inner = key.partition(".")
        value = _value(text, str in (hints.get(name), *get_args(hints.get(name))), override)
        if dot and isinstance(values.setdefault(name, {}), dict):
            values[name][inner] = value
        elif name in values:
            raise ZscError(f"{override}: {name} is given twice. Remove one.")
        else:
            values[name] = value
    return read(kind, values)


def _value(text: str, is_text: bool, override: str) -> Any:
    import yaml

    if is_text:
        return None if text.lower() == "null" else at_home(unquoted(text))
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ZscError(f"cannot read {override}: {first_line(error)}.") from error
