"""Records with named texts, several references and a focus: from JSON and back, and what is refused."""

import json

import pytest

from zsc.data.columns import KNOWN
from zsc.data.record import RESERVED, Focus, Record, check_sound, parse_record
from zsc.errors import ZscError

TEXT = "  Tea \u00a0is\n a  drink.\t"  # which a record holds as "Tea is a drink."


def parsed(**fields):
    return parse_record({"id": "1", **fields}, "here")


@pytest.mark.parametrize("start", range(len(TEXT)))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
def test_a_place_is_where_the_same_characters_stand_in_the_text_set_right(start, size):
    focus = {"field": "document", "start": start, "end": min(start + size, len(TEXT))}
    words = " ".join(TEXT[start : focus["end"]].split())
    if not words:
        with pytest.raises(ZscError, match=r"here: field 'focus': \d+ to \d+ of 'document' is white space"):
            parsed(document=TEXT, focus=focus)
        return
    record = parsed(document=TEXT, focus=focus)
    (found,) = record.focus
    assert found.text == words and record.fields == {"document": "Tea is a drink."}
    assert "Tea is a drink."[found.start : found.start + len(words)] == words
    letters = sum(not one.isspace() for one in TEXT[: start + len(TEXT[start:]) - len(TEXT[start:].lstrip())])
    assert sum(one != " " for one in "Tea is a drink."[: found.start]) == letters  # the same one of equal words
    assert parse_record(record.to_json(), "again") == record


def test_a_focus_by_place_may_say_its_text_instead_of_its_end():
    expected = (Focus("is a", "document", 4),)
    assert parsed(document=TEXT, focus={"field": "document", "start": 7, "text": "is\n a"}).focus == expected
    assert parsed(document=TEXT, focus=[{"field": "document", "start": 7, "end": 12, "text": "is a"}]).focus == expected


def test_characters_beyond_the_first_plane_count_as_one():
    record = parsed(document="\U0001f375 tea", focus={"field": "document", "start": 2, "end": 5})
    assert record.focus == (Focus("tea", "document", 2),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"focus": 3}, "field 'focus' must hold texts or objects with 'field', 'start' and 'end', got 3"),
        ({"focus": [None]}, "field 'focus' must hold texts or objects"),
        ({"focus": " "}, "field 'focus' must be a non-empty string"),
        ({"focus": "half \ud83d"}, "field 'focus' holds half of a character"),
        ({"focus": {"text": "Tea"}}, "field 'focus' names no text of the record by 'field', got None"),
        ({"focus": {"field": "doc", "start": 0, "end": 1}}, "names no text of the record by 'field', got 'doc'"),
        ({"focus": {"field": ["document"], "start": 0, "end": 1}}, "names no text of the record"),
        (
            {"focus": {"field": "reference", "start": 0, "end": 1}, "reference": "No."},
            "names no text .* got 'reference'",
        ),
        ({"focus": {"field": "dialog", "start": 0, "end": 1}, "dialog": "Hi."}, "names no text .* got 'dialog'"),
        ({"focus": {"field": "document"}}, "None to None is no part of the 21 characters of 'document'"),
        ({"focus": {"field": "document", "start": "2", "end": 5}}, "'2' to 5 is no part of"),
        ({"focus": {"field": "document", "start": True, "end": 5}}, "True to 5 is no part of"),
        ({"focus": {"field": "document", "start": 2.0, "text": "Tea"}}, "2.0 to None is no part of"),
        ({"focus": {"field": "document", "start": -3, "end": -1}}, "-3 to -1 is no part of"),
        ({"focus": {"field": "document", "start": 5, "end": 5}}, "5 to 5 is no part of"),
        ({"focus": {"field": "document", "start": 2, "end": 99}}, "2 to 99 is no part of"),
        ({"focus": {"field": "document", "start": 2, "text": 7}}, "field 'focus': 'text' must be a text, got 7"),
        ({"focus": {"field": "document", "start": 2, "text": "tea"}}, "2 to 5 of 'document' is 'Tea', not 'tea'"),
        ({"references": "one"}, "field 'references' must be a list of texts, got 'one'"),
        ({"references": ["one", 2]}, "field 'references' must be a list of texts"),
        ({"references": ["one", " "]}, "field 'references' must be a non-empty string"),
        ({"references": ["one\0"]}, "field 'references' holds a NUL character"),
        ({"source": "half \udc00"}, "field 'source' holds half of a character"),
        ({"histories": [], "document": "x"}, "there is no field 'history'. Did you mean 'histories'"),
    ],
)
def test_what_is_no_record_is_said(fields, message):
    with pytest.raises(ZscError, match=rf"^here: .*{message}"):
        parsed(**{"document": TEXT, **fields})


def test_references_are_the_different_ones_and_the_first_is_that_of_its_name():
    record = parsed(source="x", reference="b", references=["a", "b ", "a", "c"])
    assert (record.reference, record.references, record.accepted) == ("b", ("b", "a", "c"), ("b", "a", "c"))
    one = parsed(source="x", references=["a", "a"])
    assert (one.reference, one.references, one.accepted) == ("a", (), ("a",))
    assert parsed(source="x", references=[]).accepted == parsed(source="x").accepted == ()


def test_every_further_text_is_a_field_and_nothing_else():
    given = {
        "document": "a  b",
        "_x1": "c",
        "my field": "d",
        "2nd": "e",
        "dialog": "f",
        "score": 3,
        "empty": " ",
        "story": "g",
    }
    record = parsed(**given)
    assert record.fields == {"document": "a b", "_x1": "c", "story": "g"} and record.text("document") == "a b"
    assert record.text("my field") is record.text("reference") is record.text("id") is None


def test_a_record_comes_back_from_its_json():
    record = parsed(
        history=[{"speaker": "a", "text": "Hi."}], knowledge="K  k", topic="t", reference="r", references=["r", "s"],
        focus=["by text", {"field": "document", "start": 7, "end": 12}, {"field": "knowledge", "start": 3, "end": 4}],
        document=TEXT,
    )  # fmt: skip
    assert record.focus == (Focus("by text"), Focus("is a", "document", 4), Focus("k", "knowledge", 2))
    assert record.text("focus") == "by text, is a, k"
    assert parse_record(json.loads(json.dumps(record.to_json())), "again") == record


@pytest.mark.parametrize("name", sorted(RESERVED | {"my field", "2nd", ""}))
def test_no_further_field_has_a_name_with_a_meaning(name):
    with pytest.raises(ZscError, match="no field can be called"):
        check_sound(Record("1", (), fields={name: "x"}))


def test_the_texts_of_a_record_that_a_loader_made_are_checked():
    for record in (Record("1", (), fields={"source": "\ud83d"}), Record("1", (), focus=(Focus("\ud83d"),)),
                   Record("1", (), references=("a", "\ud83d"))):  # fmt: skip
        with pytest.raises(ZscError, match="half of a character"):
            check_sound(record)


def test_the_well_known_names_can_be_fields():
    further = {name: "x" for name in KNOWN if name not in RESERVED}
    assert check_sound(Record("1", (), fields=further)).fields == parsed(**further).fields == further
