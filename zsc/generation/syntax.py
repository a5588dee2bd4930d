"""A module's syntax as far as it decides what the module does: its definitions, and the names by which they use others.

Comments, docstrings, layout, the annotations of functions and imports for type checkers say nothing of what is done.
All is the same on every supported version of Python, whose own dumps of syntax trees differ.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

Symbol = tuple[str, str | None]  # a module and a name in it, None for all that it defines

UNNAMED = ""  # where statements stand that bind no name
NEUTRAL = {"ctx", "kind", "type_comment", "type_ignores"}  # fields of syntax trees that say nothing of what is done


@dataclass(frozen=True)
class Definition:
    """A statement: the ``digest`` of its syntax, the ``names`` and ``attributes`` that it mentions, and what is
    imported inside it. ``members`` of a class are its variables, class variables and class methods, each by itself;
    ``declared`` are the names of the latter two."""

    digest: str
    names: frozenset[str]
    attributes: frozenset[str]
    imports: tuple[Symbol, ...]
    members: Mapping[str, "Definition"] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()


@dataclass
class Module:
    """The statements of a module and its imports, by the names that they bind."""

    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    imports: dict[str, list[Symbol]] = field(default_factory=dict)


@cache
def parsed(source: bytes, name: str, package: bool) -> Module:
    """Return the syntax of the module called ``name``, which is a ``package`` or none."""
    module = Module()
    for statement in _Bare().visit(ast.parse(source)).body:
        if isinstance(statement, ast.Import | ast.ImportFrom) and "*" not in [one.name for one in statement.names]:
            for bound, symbol in _imported(statement, name, package):
                module.imports.setdefault(bound, []).append(symbol)
        else:
            for bound in _bound(statement) or [UNNAMED]:
                module.definitions.setdefault(bound, []).append(_definition(statement, name, package))
    return module


def _definition(statement: ast.stmt, name: str, package: bool) -> Definition:
    members, declared = {}, set()
    if isinstance(statement, ast.ClassDef):
        for part in [part for part in statement.body if _is_member(part)]:
            (bound,) = _bound(part)
            if bound not in members:
                statement.body.remove(part)
                members[bound] = _definition(part, name, package)
            declared |= set() if isinstance(part, ast.Assign) else {bound}
    nodes = list(ast.walk(statement))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return Definition(
        hashlib.sha256(dumped(statement).encode()).hexdigest(),
        frozenset(node.id for node in nodes if isinstance(node, ast.Name)),
        frozenset((*(node.attr for node in nodes if isinstance(node, ast.Attribute)), *texts)),
        tuple(
            symbol
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for _, symbol in _imported(node, name, package)
        ),
        members,
        frozenset(declared),
    )


def _bound(statement: ast.stmt) -> list[str]:
    """Return the names that a definition or an assignment binds; none for any other statement."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    parts = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    return names if len(names) == len(parts) else []


def _is_member(part: ast.stmt) -> bool:
    """Say whether a part of a class is a value, a class variable or a class method, and not one for Python itself."""
    if isinstance(part, ast.AnnAssign):
        kind = part.annotation.value if isinstance(part.annotation, ast.Subscript) else part.annotation
        marked = isinstance(kind, ast.Name) and kind.id == "ClassVar"
    elif isinstance(part, ast.FunctionDef):
        marked = any(isinstance(one, ast.Name) and one.id == "classmethod" for one in part.decorator_list)
    else:
        marked = isinstance(part, ast.Assign)
    return marked and len(_bound(part)) == 1 and not _bound(part)[0].startswith("__")


def _imported(node: ast.Import | ast.ImportFrom, name: str, package: bool) -> Iterator[tuple[str, Symbol]]:
    """Yield the names that an import in the module ``name`` binds, and what to."""
    if isinstance(node, ast.Import):
        for one in node.names:
            yield one.asname or one.name.partition(".")[0], (one.name, None)
        return
    parents = name.split(".")[: len(name.split(".")) - node.level + package] if node.level else []
    origin = ".".join([*parents, *([node.module] if node.module else [])])
    for one in node.names:
        yield one.asname or one.name, (origin, None if one.name == "*" else one.name)


class _Bare(ast.NodeTransformer):
    """Takes from a syntax tree what does nothing, and what versions of Python write in different ways."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and not node.orelse
        return None if for_types else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        parts: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.Constant) and parts and isinstance(last := parts[-1], ast.Constant):
                parts[-1] = ast.Constant(str(last.value) + str(part.value))
            elif not isinstance(part, ast.Constant) or part.value:
                parts.append(part)
        node.values = parts
        return node


def dumped(node: object) -> str:
    """Return a syntax tree as text, in which fields that are empty or neutral are left out."""
    if isinstance(node, list):
        return f"[{','.join(map(dumped, node))}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    fields = sorted((name, value) for name, value in ast.iter_fields(node) if name not in NEUTRAL)
    kept = [f"{name}={dumped(value)}" for name, value in fields if value is not None and value != []]
    return f"{type(node).__name__}({','.join(kept)})"
