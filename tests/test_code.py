"""The hash of the code: which cells a change anywhere in the package renames, and which it leaves alone."""

import ast
import shutil
from importlib import import_module

import pytest

from zsc.data.layouts import BucketLayout, ChatLayout, TemplateLayout
from zsc.errors import ZscError
from zsc.generation import code
from zsc.generation.cells import Cell, identified
from zsc.generation.folder import RunFolder
from zsc.generation.syntax import parsed
from zsc.knobs import KNOBS, Knob

OFF = "off"
ON = ("swap", "dec_mix", "attn_bias", "ctx_aug", "self_attn_bias")
TEMPLATE, CHAT = "template", "chat"  # knobs off, and another layout
ALL = {OFF, TEMPLATE, CHAT, *ON}
TEXTS = {TEMPLATE, CHAT}
BUCKETS = {OFF, *ON}
BIASES = {"attn_bias", "ctx_aug", "self_attn_bias"}
# Module: the settings whose cells are renamed when all of its definitions change. The own module of a knob renames
# those of that knob alone, and a module that is neither here nor a knob's none.
REACH = {
    "zsc.data.first_tokens": BUCKETS,
    "zsc.data.focus": ALL,
    "zsc.data.layouts.base": ALL,
    "zsc.data.layouts.buckets": BUCKETS,
    "zsc.data.layouts.chat": {CHAT},
    "zsc.data.layouts.chat_template": {CHAT, "ctx_aug"},
    "zsc.data.layouts.drafts": {*TEXTS, "ctx_aug"},
    "zsc.data.layouts.languages": TEXTS,  # the switch of languages, which chat templates leave as it is
    "zsc.data.layouts.markup": TEXTS,
    "zsc.data.layouts.template": {TEMPLATE},
    "zsc.data.layouts.writer": TEXTS,
    "zsc.data.layouts.written": TEXTS,
    "zsc.data.offsets": ALL,
    "zsc.data.source": ALL,
    "zsc.models.files": ALL,
    "zsc.models.gguf": ALL,
    "zsc.models.intact": ALL,
    "zsc.models.kinds": ALL,
    "zsc.models.load": ALL,
    "zsc.models.local": ALL,
    "zsc.models.prepacked": ALL,
    "zsc.models.pretrained": ALL,
    "zsc.models.tokens": ALL,
    "zsc.models.weights": ALL,
    "zsc.generation.decoding": ALL,
    "zsc.generation.batches": ALL,
    "zsc.generation.finite": ALL,
    "zsc.generation.generate": ALL,
    "zsc.generation.noise": ALL,
    "zsc.generation.room": ALL,  # what an error says of memory
    "zsc.generation.sampling": ALL,
    "zsc.generation.slots.drawing": ALL,
    "zsc.generation.slots.holes": ALL,
    "zsc.generation.slots.kept": ALL,
    "zsc.generation.slots.loop": ALL,
    "zsc.generation.slots.opened": ALL,
    "zsc.generation.slots.positions": ALL,
    "zsc.generation.slots.shared": ALL,
    "zsc.generation.slots.slots": ALL,
    "zsc.generation.slots.sound": ALL,
    "zsc.generation.slots.weights": ALL,
    "zsc.generation.stop": ALL,
    "zsc.generation.top_p": ALL,
    "zsc.knobs.additions": ALL,
    "zsc.knobs.anatomy": ALL,  # steering asks it where a decoder has its layers
    "zsc.knobs.apply": ALL,
    "zsc.knobs.base": ALL,  # the class of knobs, by which `apply` orders them
    "zsc.knobs.cache": ALL,
    "zsc.knobs.contexts": ALL,
    "zsc.knobs.encoder": ALL,
    "zsc.knobs.finite": ALL,  # the advice in an error
    "zsc.knobs.in_layers": ALL,
    "zsc.knobs.kinds": ALL,
    "zsc.knobs.masks": ALL,
    "zsc.knobs.packing": ALL,
    "zsc.knobs.prompt": ALL,
    "zsc.knobs.prompt_masks": ALL,
    "zsc.knobs.read": ALL,
    "zsc.knobs.reading": ALL,
    "zsc.knobs.stack": ALL,  # settings side by side
    "zsc.knobs.steering": ALL,
    "zsc.knobs.bias": BIASES,
    "zsc.knobs.spans": {"attn_bias"},
    "zsc.knobs.components": {"dec_mix"},  # where an encoder is, if there is one
    "zsc.knobs.opening": {"ctx_aug"},
    "zsc.knobs.pair": {"dec_mix"},
    "zsc.knobs.parameters": {"dec_mix", "swap"},
}
DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
MODULES = sorted(
    ".".join(file.relative_to(code.PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for file in code.PACKAGE.rglob("*.py")
)


@pytest.fixture
def package(tmp_path):
    """A copy of the source of the package."""
    for file in code.PACKAGE.rglob("*.py"):
        copy = tmp_path / "zsc" / file.relative_to(code.PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    return tmp_path / "zsc"


def hashes(package, names=ON):
    layouts = {OFF: BucketLayout, TEMPLATE: TemplateLayout, CHAT: ChatLayout}
    kinds = {name: [kind] for name, kind in layouts.items()} | {name: [BucketLayout, KNOBS[name]] for name in names}
    return {name: code.code_hash(own, package) for name, own in kinds.items()}


def changed(package, before):
    now = hashes(package, [name for name in before if name in KNOBS])
    return {name for name in now if now[name] != before[name]}


def source_of(module, package):
    inner = package.joinpath(*module.split(".")[1:])
    return inner / "__init__.py" if inner.is_dir() else inner.with_suffix(".py")


class Changed(ast.NodeTransformer):
    """Adds a statement to every function and class, and puts what is assigned in a tuple."""

    def visit(self, node):
        self.generic_visit(node)
        if isinstance(node, DEFINING):
            node.body.append(ast.Pass())
        if isinstance(node, ast.Assign):
            node.value = ast.Tuple([node.value], ast.Load())
        return node


class Reworded(ast.NodeTransformer):
    """Gives every module, class and function another docstring, and takes the annotations off functions."""

    def visit(self, node):
        self.generic_visit(node)
        if isinstance(node, (ast.Module, *DEFINING)):
            if ast.get_docstring(node) is not None:
                node.body.pop(0)
            node.body.insert(0, ast.Expr(ast.Constant("Other words.")))
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        return node


def rewrite(file, transformer):
    tree = transformer.visit(ast.parse(file.read_text(encoding="utf-8")))
    file.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf-8")


def test_a_module_renames_the_cells_that_it_reaches_and_no_others(package):
    before = hashes(package, KNOBS)
    own = {kind.__module__: {name} for name, kind in KNOBS.items()}
    for module in (*REACH, *own):
        file = source_of(module, package)
        kept = file.read_bytes()
        rewrite(file, Changed())
        reach = changed(package, before)
        assert reach == own[module] if module in own else reach & ALL == REACH[module], module
        file.write_bytes(kept)
    assert not changed(package, before)


def test_no_other_module_renames_a_cell(package):
    """A new module that fails here goes into ``REACH``, if its code is meant to decide responses."""
    before = {name: code.reached([BucketLayout, KNOBS[name]], package) for name in ON}
    own = {kind.__module__ for kind in KNOBS.values()}
    for module in {*MODULES} - {*REACH} - own:
        rewrite(source_of(module, package), Changed())
    for name in ON:
        assert {
            line.split()[0] for line in code.reached([BucketLayout, KNOBS[name]], package) - before[name]
        } == set(), name


def test_words_rename_nothing(package):
    before = hashes(package, KNOBS)
    for module in MODULES:
        file = source_of(module, package)
        rewrite(file, Reworded())  # which also drops all comments and lays out anew
        with file.open("a", encoding="utf-8") as handle:
            handle.write("\n# a comment\n")
    assert not changed(package, before)


NEW_KNOB = """
from dataclasses import dataclass
from zsc.knobs.base import Dose, Knob
from zsc.knobs.bias import check_strength

@dataclass(frozen=True)
class Toy(Knob):
    strength: float = 1.0

    def __post_init__(self) -> None:
        check_strength(self.strength)
"""


def test_what_is_added_beside_renames_nothing(package):
    before = hashes(package, KNOBS)
    (package / "knobs" / "toy.py").write_text(NEW_KNOB)
    (package / "metrics" / "toy.py").write_text("def toy() -> float:\n    return 1.0\n")
    (package / "data" / "toy.py").write_text("from zsc.data.record import Record\ndef load():\n    return []\n")
    for registry, line in (
        ("knobs", "from zsc.knobs.toy import Toy\nKNOBS['toy'] = Toy\n"),
        ("metrics", "from zsc.metrics.toy import toy\nMETRICS['toy'] = toy\n"),
        ("data", "from zsc.data import toy\nDATASETS['toy'] = toy.load\n"),
    ):
        with (package / registry / "__init__.py").open("a") as handle:
            handle.write(line)
    for shared in ("layout", "record"):  # a function that nothing calls
        with (package / "data" / f"{shared}.py").open("a") as handle:
            handle.write("\ndef unused() -> None:\n    pass\n")
    assert not changed(package, before)


KNOB = """
from dataclasses import dataclass
from typing import ClassVar
from zsc.knobs.base import Dose, Knob

@dataclass(frozen=True)
class Described(Knob):
    dose{declared} = Dose("strength", 1.0, 1.0, {strongest}, False)
    strength: float = 1.0

    @classmethod
    def moves(cls, settings):
        return ("{metric}",)

    @property
    def neutral(self):
        return {neutral}
"""


@pytest.mark.parametrize("declared", ["", ": ClassVar[Dose]"])
@pytest.mark.parametrize(
    ("neutral", "counts"),
    [
        ("self.strength == 1", False),
        ("getattr(self, 'dose').neutral == 1", True),
        ("self.strength == self.dose.neutral", True),
    ],
)
def test_what_a_knob_says_of_itself_counts_only_where_it_acts_by_it(package, declared, neutral, counts):
    def one(strongest, metric):
        text = KNOB.format(strongest=strongest, metric=metric, neutral=neutral, declared=declared)
        (package / "knobs" / "described.py").write_text(text)
        kind = type("Described", (), {"__module__": "zsc.knobs.described"})
        return code.code_hash([kind], package)

    plain = one(5.0, "length")
    assert one(5.0, "bleu") == plain
    assert (one(9.0, "length") != plain) is counts
    base = package / "knobs" / "base.py"
    base.write_text(base.read_text().replace("    most: float", "    middle: float = 0.0\n    most: float"))
    assert (one(5.0, "length") != plain) is counts


@pytest.mark.parametrize(
    ("importing", "calling"),
    [
        ("from zsc.knobs.extra import helper", "helper()"),
        ("from zsc.knobs.extra import helper as other", "other()"),
        ("from zsc.knobs import extra", "extra.helper()"),
        ("import zsc.knobs.extra", "zsc.knobs.extra.helper()"),
        ("import zsc.knobs.extra as other", "other.helper()"),
        ("from .extra import helper", "helper()"),
        ("from . import extra", "extra.helper()"),
        ("from zsc.knobs.extra import *", "helper()"),
        ("", "__import__('sys')\n    from zsc.knobs.extra import helper\n    helper()"),
        ("", "__import__('sys')\n    import zsc.knobs.extra\n    zsc.knobs.extra.helper()"),
        ("from zsc.knobs.through import helper", "helper()"),
        ("if True:\n    from zsc.knobs.extra import helper", "helper()"),
    ],
)
def test_imports_are_followed_however_they_are_written(package, importing, calling):
    apply = package / "knobs" / "apply.py"
    apply.write_text(f"{importing}\n{apply.read_text()}\ndef _more():\n    {calling}\n_more()\n")
    (package / "knobs" / "through.py").write_text("from zsc.knobs.extra import helper\n")
    extra = package / "knobs" / "extra.py"
    extra.write_text("AMOUNT = 1\ndef helper():\n    return AMOUNT\n")
    before = code.code_hash((), package)
    extra.write_text("AMOUNT = 2\ndef helper():\n    return AMOUNT\n")
    assert code.code_hash((), package) != before


def test_a_value_of_a_class_that_declares_none_counts_whoever_reads_it(package):
    top_p = package / "generation" / "top_p.py"
    text, head = top_p.read_text(), "class TopP(LogitsProcessor):\n"
    seen = set()
    for value in (1, 2):
        top_p.write_text(text.replace(head, f"{head}    for_the_library = {value}\n"))
        seen.add(code.code_hash((), package))
    assert len(seen) == 2


def test_another_library_under_the_same_name_counts(package):
    noise = package / "generation" / "noise.py"
    noise.write_text(noise.read_text().replace("import hashlib", "import zlib as hashlib"))
    assert changed(package, hashes(code.PACKAGE)) == ALL


def test_a_knob_from_elsewhere_counts_with_its_whole_file(tmp_path, monkeypatch):
    file = tmp_path / "elsewhere.py"
    text = "from zsc.knobs.spans import parse_span\nSCALE = 1\nclass Own:\n    'A knob.'\n"
    file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    Own = import_module("elsewhere").Own  # noqa: N806

    plain = code.code_hash([Own])
    assert plain != code.code_hash() and any(line.startswith("elsewhere SCALE") for line in code.reached([Own]))
    file.write_text(f"# mine\n{text}")
    assert code.code_hash([Own]) == plain
    file.write_text(text.replace("SCALE = 1", "SCALE = 2"))
    assert code.code_hash([Own]) != plain
    with pytest.raises(ZscError, match=r"Typed of nowhere has no source file.*Define it in a file"):
        code.code_hash([type("Typed", (), {"__module__": "nowhere"})])


def test_what_the_knobs_say_of_themselves_is_for_others():
    """No dose of a knob here, nor anything else that tables and searches ask it, decides its responses."""
    names = {line.split()[1] for name in ON for line in code.reached([KNOBS[name]])}
    described = {*Knob.__annotations__, "moves", "needs_other", "Dose"} - {"precedence"}
    assert "dose" in described and not names & described


def test_off_counts_no_knob_and_a_knob_no_other():
    modules = {
        name: {line.split()[0] for line in code.reached([KNOBS[name]] if name in KNOBS else [])} for name in BUCKETS
    }
    own = {KNOBS[name].__module__ for name in ON}
    assert {name: found & own for name, found in modules.items()} == {
        OFF: set(),
        **{name: {KNOBS[name].__module__} for name in ON},
    }
    assert not any(found & {"zsc.knobs", "zsc.generation.checks", "zsc.knobs.probe"} for found in modules.values())


TRICKY = '''
def f(a, /, b: int = 1, *args, c=2, **kwargs) -> "int":
    """Docstring."""
    x = f"{a!r:>{b}} and" f" {b=} {{}} {a['k']}" "end" f""
    y = f"{'nested'} {f'{a}'}", u"kind", "caf\\u00e9 \\U0001f600 \\u0378", b"\\xff", 1e999, ..., None, True, 1.0, 10**20
    with open(a) as g, open(b) as h:
        match x:
            case {"k": [1, *rest], **others} if rest:
                return lambda *, z=None: {**others, "a": (yield)}
            case str() | None:
                pass
    try:
        del x[1:2, ::3]
    except* ValueError as error:
        raise error from None
class A(B, metaclass=C): pass
async def g(): return [i async for i in h if await i]
'''


def test_the_syntax_reads_the_same_on_every_python():
    """The digests, which other versions of Python must give too, are those that 3.11, 3.12 and 3.13 gave."""
    digests = [one.digest[:12] for found in parsed(TRICKY.encode(), "m", False).definitions.values() for one in found]
    assert digests == ["94f6a6265b3e", "1c272d11e984", "fb1bc5cccc0c"]


def test_a_changed_line_is_a_changed_digest():
    def digest(text):
        return parsed(text.encode(), "m", False).definitions["f"][0].digest

    texts = ["x = 1", "x = 1.0", "x = True", "x = '1'", "x = b'1'", "x = f'1'", "x = f'{1}'", "x = f'{1!r}'",
             "x = None", "x = ()", "x = [None]", "x = []", "x = 1,", "x: int = 1", "y = 1", "x = -1", "return 1",
             "pass", "x = a.b", "x = a.c", "x = a[b]", "x = a(b)", "x = a(b=b)", "x = a(*b)", "x = a(**b)"]  # fmt: skip
    assert len({digest(f"def f():\n    {text}") for text in texts}) == len(texts)
    heads = ["def f(a):", "def f(*a):", "def f(**a):", "def f(*, a):", "def f(a, /):", "def f(a=1):", "async def f(a):"]
    assert len({digest(f"{head}\n    pass") for head in heads}) == len(heads)
    assert digest("def f(a: int) -> int:\n    'Doc.'\n    pass") == digest("def f(a):\n    # why\n    pass")


VERSIONS = {"torch": "2.7.0", "transformers": "5.20", "tokenizers": "0.23.1"}


def manifest(tmp_path, codes, versions=VERSIONS, seed=0):
    cells = {
        (name, seed): Cell(tmp_path, {"knobs": name, "code": one, "libraries": versions, "seed": seed}, [])
        for name, one in codes.items()
    }
    return identified(cells) | {"versions": {**versions, "python": "3.11"}}


@pytest.mark.parametrize(
    ("codes", "versions", "what"),
    [
        ({"off": "a", "on": "c"}, VERSIONS, "this run, made with other code of zsc for on. Set output=FOLDER to a new"),
        ({"off": "b", "on": "c"}, VERSIONS, "made with other code of zsc. Set output=FOLDER to a new one, or remove"),
        ({"off": "a", "on": "b"}, {**VERSIONS, "torch": "2.8"}, "this run, made with torch 2.7.0 in place of 2.8. Set"),
        ({"off": "b", "on": "b"}, {**VERSIONS, "torch": "2.8"}, "code of zsc for off and torch 2.7.0 in place of 2.8."),
    ],
)
def test_a_folder_that_only_other_code_or_libraries_made_says_so(tmp_path, codes, versions, what):
    folder = RunFolder(tmp_path / "run")
    folder.create("", manifest(tmp_path, {"off": "a", "on": "b"}), [])
    with pytest.raises(ZscError) as refused:
        folder.check(manifest(tmp_path, codes, versions))
    assert f"{folder.path} holds" in str(refused.value) and what in str(refused.value)


def test_a_folder_of_another_run_or_of_an_older_version_says_what_it_said(tmp_path):
    existing = manifest(tmp_path, {"off": "a", "on": "b"})
    for name, other in {
        "seed": manifest(tmp_path, {"off": "c", "on": "b"}, seed=1),
        "setting": manifest(tmp_path, {"off": "c"}),
        "old": {"identity": "0", "cells": {}, "versions": VERSIONS},
    }.items():
        RunFolder(tmp_path / name).create("", other, [])
        with pytest.raises(ZscError, match="holds a run with other options, data or weights"):
            RunFolder(tmp_path / name).check(existing)
