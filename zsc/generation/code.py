"""A hash of the code that the responses of a setting can reach, and of no other code.

What counts begins at ``ROOTS`` and the classes of the layout and of the setting's knobs, and goes on with every
definition that counted code names, in its own module or imported from another of the package: whole functions, classes
and assignments, by their syntax. Left out are imports of names that no counted code uses, and class methods and values
of what a class declares as ``ClassVar`` that no counted code reads: by these, a knob describes itself to searches and
tables. A module is taken for its definitions, as importing one does nothing else.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from zsc.errors import ZscError
from zsc.generation.syntax import UNNAMED, Definition, Module, Symbol, parsed

PACKAGE = Path(__file__).parents[1]
ROOTS: tuple[Symbol, ...] = (
    ("zsc.models.load", "load_model"),
    ("zsc.models.prepacked", "prepacked"),
    ("zsc.generation.batches", "ReadBatches"),
    ("zsc.generation.decoding", "Decoding"),
    ("zsc.generation.generate", "Job"),
    ("zsc.generation.generate", "generate"),
    ("zsc.generation.slots.loop", "Loop"),
    ("zsc.generation.slots.sound", "takes_slots"),
    ("zsc.generation.slots.sound", "slots_fault"),
    ("zsc.generation.slots.sound", "sharing_fault"),
)
LEFT_OUT = (
    "zsc.errors",  # what is raised is no response; the texts are for people
    "zsc.install",  # refuses what is not installed
    "zsc.terminal",  # prints
    "zsc.options",  # reads options, which stand in a cell's description themselves
    "zsc.data.cut",  # counts what a layout has cut off, and says it; the layout cuts by itself
    "zsc.knobs.supported",  # refuses models before cells are looked up, and leaves those that pass as they are
)

Read = Callable[[str], Module | None]


def code_hash(kinds: Iterable[type] = (), package: Path = PACKAGE) -> str:
    """Return the hash for a setting with a layout and knobs of ``kinds``, of the code in the folder ``package``."""
    return hashlib.sha256("\n".join(sorted(reached(kinds, package))).encode()).hexdigest()


def reached(kinds: Iterable[type] = (), package: Path = PACKAGE) -> set[str]:
    """Return what counts for a layout and knobs of ``kinds``, as lines of module, name and digest.

    Of the module of a class from outside of the package, all counts. Raises ZscError where that has no source file.
    """
    outside: dict[str, Path] = {}
    roots = list(ROOTS)
    for kind in kinds:
        within = _file(kind.__module__, package) is not None
        roots.append((kind.__module__, kind.__qualname__.partition(".")[0] if within else None))
        if not within:
            outside[kind.__module__] = _own_file(kind)

    @cache
    def read(name: str) -> Module | None:
        file = None if name in LEFT_OUT else outside.get(name) or _file(name, package)
        return None if file is None else parsed(file.read_bytes(), name, file.name == "__init__.py")

    return follow(roots, read)


def follow(roots: Iterable[Symbol], read: Read) -> set[str]:
    """Return, as lines of module, name and digest, what ``roots`` reach in the modules that ``read`` knows."""
    counted: set[str] = set()
    attributes: set[str] = set()
    declared: set[str] = set()
    members: list[tuple[str, str, Definition]] = []
    symbols, seen = list(roots), set[Symbol]()

    def count(module: str, name: str, definition: Definition) -> None:
        counted.add(f"{module} {name} {definition.digest}")
        attributes.update(definition.attributes)
        declared.update(definition.declared)
        symbols.extend((module, mentioned) for mentioned in definition.names)
        symbols.extend(_found(imported, read) for imported in definition.imports)
        members.extend((module, member, part) for member, part in definition.members.items())

    while symbols:
        module, name = symbol = symbols.pop()
        if symbol not in seen and (content := read(module)) is not None:
            seen.add(symbol)
            symbols.extend((module, bound) for bound in ([*content.definitions] if name is None else [UNNAMED]))
            for definition in content.definitions.get(name or UNNAMED, ()):
                count(module, name or UNNAMED, definition)
            for imported in content.imports.get(name or UNNAMED, ()):
                counted.add(f"{module} {name} {imported}")
                symbols.append(_found(imported, read))
        if not symbols:
            for member in [one for one in members if one[1] in attributes or one[1] not in declared]:
                members.remove(member)
                count(*member)
    return counted


def _found(symbol: Symbol, read: Read) -> Symbol:
    """Return what is imported from ``symbol``: all of the module of that name, where a package defines none."""
    module, name = symbol
    own = read(module)
    if name is None or (own is not None and (name in own.definitions or name in own.imports)):
        return symbol
    inner = f"{module}.{name}"
    return symbol if read(inner) is None else (inner, None)


def _file(name: str, package: Path) -> Path | None:
    """Return the file of a module of ``package``, None for other modules."""
    first, *parts = name.split(".")
    inner = package.joinpath(*parts)
    files = (inner.parent / f"{inner.name}.py", inner / "__init__.py")
    return next((file for file in files if first == package.name and file.is_file()), None)


def _own_file(kind: type) -> Path:
    try:
        return Path(inspect.getfile(kind))
    except (TypeError, OSError) as error:
        raise ZscError(
            f"{kind.__qualname__} of {kind.__module__} has no source file, by which its responses could be"
            " told from those of other code. Define it in a file."
        ) from error
