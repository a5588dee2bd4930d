"""Sentences with translations, from files by hand: lines, two columns, and translation memories."""

import gzip
import lzma

import pytest

from zsc.data import load_records
from zsc.data.record import Record
from zsc.errors import ZscError

PAIRS = [("Good morning.", "Guten Morgen."), ("Tea, please.", ""), ("One\u2028two.", "Eins zwei.")]
WANTED = [
    Record("1", (), "Guten Morgen.", fields={"source": "Good morning."}),
    Record("2", (), None, fields={"source": "Tea, please."}),
    Record("3", (), "Eins zwei.", fields={"source": "One two."}),
]


def load(**options):
    return load_records("parallel", **{name: str(value) for name, value in options.items()})


def lines(file, texts, pack=bytes, end="\n"):
    file.write_bytes(pack("".join(f"{text}{end}" for text in texts).encode()))
    return file


@pytest.mark.parametrize(
    ("suffix", "pack", "end"), [("txt", bytes, "\n"), ("en", bytes, "\r\n"), ("gz", gzip.compress, "\n"),
                                ("xz", lzma.compress, "\n")],
)  # fmt: skip
def test_two_files_line_by_line(tmp_path, suffix, pack, end):
    source = lines(tmp_path / f"s.{suffix}", [one for one, _ in PAIRS], pack, end)
    target = lines(tmp_path / f"t.{suffix}", [one for _, one in PAIRS], pack, end)
    assert load(source=source, target=target) == WANTED
    assert [(one.fields, one.reference) for one in load(source=source)] == [(one.fields, None) for one in WANTED]


def test_pairs_without_a_source_are_left_out_and_others_keep_their_number(tmp_path, capsys):
    source, target = lines(tmp_path / "s", ["", "a", " "]), lines(tmp_path / "t", ["x", "y", ""])
    assert load(source=source, target=target) == [Record("2", (), "y", fields={"source": "a"})]
    assert capsys.readouterr().err == f"{source}: 2 of 3 pairs have no source, and are left out.\n"


@pytest.mark.parametrize("name", ["both.tsv", "both.tsv.gz"])
def test_a_file_of_two_columns(tmp_path, name):
    pack = gzip.compress if name.endswith("gz") else bytes
    assert load(path=lines(tmp_path / name, ["\t".join(pair) for pair in PAIRS], pack)) == WANTED


MEMORY = """<?xml version="1.0" encoding="{encoding}"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header creationtool="hand" creationtoolversion="1" segtype="sentence" o-tmf="none" adminlang="en" srclang="en"
          datatype="plaintext"><note>Not a <hi>text</hi>.</note></header>
  <body>
    <tu tuid="a">
      <tuv xml:lang="en-GB"><seg>Good <bpt i="1">&lt;b><sub>x</sub></bpt>morning<ept i="1">&lt;/b></ept> &amp;
        welcome, <hi type="x">Zo\u00eb</hi>.</seg></tuv>
      <tuv xml:lang="DE"><seg>Guten Morgen.</seg></tuv>
      <tuv xml:lang="de_AT"><prop type="x">no text</prop><seg>Gr\u00fc\u00df Gott.</seg></tuv>
      <tuv xml:lang="den"><seg>Slave.</seg></tuv>
    </tu>
    <tu><tuv xml:lang="en"><seg>Tea<ph/>.</seg></tuv><tuv lang="fr"><seg>Th\u00e9.</seg></tuv></tu>
    <tu><tuv xml:lang="de"><seg>Nur hier.</seg></tuv></tu>
  </body>
</tmx>
"""


def memory(tmp_path, text=MEMORY, encoding="UTF-8"):
    file = tmp_path / "memory.tmx"
    file.write_bytes(text.replace("{encoding}", encoding).encode(encoding))
    return file


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "ISO-8859-1"])
def test_a_translation_memory(tmp_path, encoding, capsys):
    file = memory(tmp_path, encoding=encoding)
    both = ("Guten Morgen.", "Gr\u00fc\u00df Gott.")
    assert load(path=file, source_language="en", target_language="de") == [
        Record("1", (), both[0], fields={"source": "Good morning & welcome, Zo\u00eb."}, references=both),
        Record("2", (), None, fields={"source": "Tea."}),
    ]
    assert "1 of 3 pairs have no source, and are left out" in capsys.readouterr().err
    (only,) = load(path=file, source_language="en-gb", target_language="de-AT")
    assert only.accepted == both[1:]
    assert [one.accepted for one in load(path=file, source_language="fr", target_language="en")] == [("Tea.",)]


def test_packed_memories(tmp_path):
    file = tmp_path / "memory.tmx.xz"
    file.write_bytes(lzma.compress(MEMORY.replace("{encoding}", "UTF-8").encode()))
    assert len(load(path=file, source_language="en", target_language="de")) == 2


BOMB = """<!DOCTYPE tmx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<tmx version="1.4"><body><tu><tuv xml:lang="en"><seg>&b;</seg></tuv></tu></body></tmx>"""
BODY = '<tmx><body><tu><tuv xml:lang="en"><seg>&f;</seg></tuv></tu></body></tmx>'
FILE = f'<!DOCTYPE tmx [<!ENTITY f SYSTEM "secret.txt">]>\n{BODY}'
PARAMETER = '<!DOCTYPE tmx [<!ENTITY % p SYSTEM "secret.txt"> %p;]>\n<tmx/>'
UNKNOWN = f'<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n{BODY}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 1: it declares or uses an entity of its own, &a;, which is not read"),
        (FILE, "line 1: it declares or uses an entity of its own, &f;"),
        (PARAMETER, "line 1: it declares or uses an entity of its own, &p;"),
        (UNKNOWN, "line 2: it declares or uses an entity of its own, &f;"),
        ("<tmx>&f;</tmx>", "line 1: no whole XML .undefined entity"),
        ("<html/>", "line 1: no TMX, since it begins with <html>"),
        ("", "line 1: no whole XML .no element found"),
        (MEMORY.replace("{encoding}", "UTF-8")[:-10], "line 16: no whole XML"),
        ("<tmx><body>\n<tu><tuv><seg>x</seg></tuv></tu></body></tmx>", "line 2: a <tuv> without xml:lang"),
        ('<tmx>\n<tuv xml:lang="en"/></tmx>', "line 2: a <tuv> outside of <tu>"),
        ("<tmx/>", "dataset.source_language=en names no language of .* It has: none"),
    ],
)
def test_memories_that_cannot_be_read(tmp_path, text, message):
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(ZscError, match=message):
        load(path=memory(tmp_path, text), source_language="en", target_language="de")


def test_what_is_wrong_with_the_options_or_files_is_said(tmp_path):
    source, target = lines(tmp_path / "s.txt", ["a", "b"]), lines(tmp_path / "t.txt", ["x"])
    tabs = lines(tmp_path / "x.tsv", ["a\tb", "", "c"])
    plain = tmp_path / "plain.gz"
    plain.write_text("no archive")
    for options, message in [
        ({}, r"dataset parallel needs dataset.source=FILE"),
        ({"target": target}, r"dataset parallel needs dataset.source=FILE"),
        ({"path": tabs, "source": source}, r"dataset parallel needs dataset.source=FILE"),
        ({"path": tabs, "target": target}, r"dataset parallel needs dataset.source=FILE"),
        ({"path": source}, r"s.txt: cannot read .txt. dataset parallel needs"),
        ({"source": source, "target": target}, r"t.txt has 1 lines and .*s.txt 2. Line by line they must belong"),
        ({"source": source, "target": tmp_path / "none"}, r"no file .*none"),
        ({"source": plain}, r"plain.gz: cannot be read"),
        ({"path": tabs}, r"x.tsv, line 3: must be a sentence, a tab and its translation, got 1 fields"),
        ({"path": tabs, "source_language": "en"}, r"choose in a .tmx file; .*x.tsv has one pair"),
        ({"path": memory(tmp_path), "source_language": "en"}, r"target_language=null names no language .* It has: en"),
        (
            {"path": memory(tmp_path), "source_language": "en-GV", "target_language": "de"},
            r"dataset.source_language=en-GV names no language of .*. Did you mean 'en-GB'\?",
        ),
    ]:  # fmt: skip
        with pytest.raises(ZscError, match=message):
            load(**options)
