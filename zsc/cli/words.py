"""Values that Hydra would read otherwise than meant.

An option that holds a path, a name or a free text takes its value as it stands, whatever characters are in it. Without
``-m`` a comma is one of them; with ``-m`` commas separate values, unless the whole names something that exists. Lists
of such values are lists for some options alone. ``null``, ``${...}`` and values in quotes stay as in Hydra.
"""

import re
from pathlib import Path

FREE = re.compile(  # options that hold a path, a name or a free text
    r"(model|other|objective|knob(\.\w+)*\.other)\.(checkpoint|decoder)"
    r"|dataset\.(path|source|target|name|split|revision|columns\.\w+)"
    r"|cells|output|to|host|topic|save|trained|judges\.\w+|objective\.(text|heldout|language_model)"
    r"|layout\.(text|system|user|turn|joiner|stop|prefix|field|source_language|target_language)"
    r"|task\.(name|profile|phrases)|decoding\.(forced_(first|last)|stop)"
    r"|knob(\.\w+)?\.(phrases|profile|start|end)|columns\.\w+|setting|answers|runs?"
    r"|launcher\.(partition|account|qos|constraint|setup|address|logs)|log\.(experiment|project|folder)"
)
LISTED = re.compile(r"(knob|objective)\..*|answers|runs|launcher\.setup")  # those of them that may be lists
PLAIN = re.compile(r"(\.{0,2}/)*[A-Za-z_][\w./-]*|\.{1,2}/?", re.ASCII)
RESERVED = {"true", "false", "null", "nan", "inf"}
SWEEP = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
ITEM = re.compile(rf"\s*({QUOTED.pattern}|[^,]*?)\s*(?:,|$)", re.DOTALL)


def literal(override: str, multirun: bool) -> str:
    """Return ``override`` with the value quoted for Hydra where its option takes it as it stands."""
    key, equals, value = override.partition("=")
    if not equals or not FREE.fullmatch(key.lstrip("+")):
        return override
    return f"{key}={_literal(value, multirun, bool(LISTED.match(key.lstrip('+'))))}"


def _literal(value: str, multirun: bool, may_be_list: bool) -> str:
    if not value or PLAIN.fullmatch(value) or value.lower() == "null" or "${" in value:
        return quoted(value) if value.lower() in RESERVED - {"null"} else value
    if exists(value):
        return quoted(value)
    if may_be_list and value.startswith("[") and value.endswith("]"):
        inner = value[1:-1]
        return value if re.search(r"[\[{]", inner) else f"[{','.join(_item(one) for one in listed(inner) if one)}]"
    if multirun and SWEEP.fullmatch(value):
        return value
    return ",".join(map(_item, listed(value))) if multirun else _item(value)


def _item(value: str) -> str:
    """Return one value, quoted unless it is so already or needs no quotes."""
    plain = PLAIN.fullmatch(value) and value.lower() not in RESERVED
    return value if plain or value.lower() == "null" or QUOTED.fullmatch(value) else quoted(at_home(value))


def quoted(text: str) -> str:
    """Return ``text`` in the quotes of Hydra's grammar."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.single).with_quotes()


def unquoted(text: str) -> str:
    """Return what a value in quotes stands for, and any other as it is."""
    if not QUOTED.fullmatch(text):
        return text
    return re.sub(rf"(\\+)(?={text[0]}|$)", lambda match: match[1][: len(match[1]) // 2], text[1:-1])


def listed(text: str) -> list[str]:
    """Return the parts of ``text`` between commas that stand outside of quotes."""
    items = [match[1] for match in ITEM.finditer(text)]
    return items if text.rstrip().endswith(",") or len(items) < 2 else items[:-1]  # an empty match ends every text


def at_home(value: str) -> str:
    """Return a path below ``~`` as one that can be opened, as the shell does for a word that begins so."""
    return str(Path(value).expanduser()) if value.startswith("~/") and not exists(value) else value


def exists(value: str) -> bool:
    """Say whether ``value`` names a file or folder."""
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long a name, or one that cannot be
        return False
