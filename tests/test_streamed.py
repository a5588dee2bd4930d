"""Of a run of any size, little is held at a time: what is written, read and scored goes through in parts."""

import json
import math
import random
from weakref import WeakSet

import numpy as np
import pytest
from pyarrow import parquet

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.files import write_changed
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics, cells, item_files
from zsc.metrics.cells import CellColumns
from zsc.metrics.judges import Topic
from zsc.metrics.options import Resampling
from zsc.metrics.responses import read_responses
from zsc.metrics.run import score_run
from zsc.metrics.stored import Stored
from zsc.metrics.tokenized import different
from zsc.study.result import Result

SETTINGS, SEEDS, EXAMPLES = ["off", "on"], [0, 1, 2], 11


def rows_of(settings=SETTINGS, seeds=SEEDS, examples=EXAMPLES):
    return [
        {"setting": setting, "seed": seed, "id": str(i), "response": f"{setting} said {i} to Zoë {seed}?", "nll": 2.5,
         "tokens": None if i == 3 else 4}
        for setting in settings for seed in seeds for i in range(examples)
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    found = RunFolder(tmp_path / "run")
    records = [Record(str(i), (), "You said it.", "It rains.") for i in range(EXAMPLES)]
    found.create("layout: {}", {"identity": "x", "settings": SETTINGS, "seeds": SEEDS}, records)
    rows = rows_of()
    random.Random(1).shuffle(rows)
    found.write_rows(rows)
    return found


@pytest.mark.parametrize("there", [None, b"", b"a\n", b"a\nb\n", b"a\nb\nc\n", b"x\nb\n", b"a\nbb\n"])
@pytest.mark.parametrize("lines", [[], [b"a\n"], [b"a\n", b"b\n"]])
def test_lines_replace_what_is_there_only_where_they_differ(tmp_path, there, lines):
    file = tmp_path / "x"
    if there is not None:
        file.write_bytes(there)
    before = file.stat().st_ino if there is not None else None
    write_changed(file, iter(lines))
    assert file.read_bytes() == b"".join(lines) and list(tmp_path.iterdir()) == [file]
    assert (file.stat().st_ino == before) == (there == b"".join(lines))


def test_nothing_is_left_of_lines_that_end_in_an_error(tmp_path):
    def lines():
        yield b"a\n"
        raise ZscError("gone")

    (tmp_path / "x").write_bytes(b"b\n")
    with pytest.raises(ZscError, match="gone"):
        write_changed(tmp_path / "x", lines())
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("x", b"b\n")]


def test_generations_are_written_one_after_another(tmp_path):
    class Row(dict):
        pass

    alive, most = WeakSet(), 0

    def rows():
        nonlocal most
        for row in rows_of():
            one = Row(row)
            alive.add(one)
            most = max(most, len(alive))
            yield one

    Row.__hash__ = lambda self: id(self)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_rows(rows())
    assert most <= 2 and folder.rows() == rows_of()


def test_responses_are_read_from_where_they_stand(folder):
    expected = {(row["setting"], row["seed"], row["id"]): row for row in rows_of()}
    found = read_responses(folder, folder.records(), SETTINGS, SEEDS)
    assert list(found) == [(setting, seed) for setting in SETTINGS for seed in SEEDS]
    for (setting, seed), cell in found.items():
        assert cell.rows(slice(2, 5)) == [expected[setting, seed, str(i)] for i in range(2, 5)]
    content = folder.generations.read_bytes()
    folder.generations.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    other = read_responses(folder, folder.records(), SETTINGS, SEEDS)
    assert [cell.rows() for cell in other.values()] == [cell_rows(expected, place) for place in found]


def cell_rows(expected, place):
    return [expected[*place, str(i)] for i in range(EXAMPLES)]


def test_of_a_whole_run_one_cell_and_one_part_of_all_are_held(folder, monkeypatch):
    """Metrics that need all responses of a cell read one cell at a time, the others a few responses of each."""
    alive, whole, parts = WeakSet(), [], []
    made, read = CellColumns.__init__, RunFolder.rows_at

    def counted(self, *arguments):
        made(self, *arguments)
        alive.add(self)

    def watched(self, begins):
        holding = [one for one in alive if "own" in one.__dict__]
        (whole if len(begins) == EXAMPLES else parts).append(len(holding))
        return read(self, begins)

    monkeypatch.setattr(CellColumns, "__hash__", object.__hash__)
    monkeypatch.setattr(CellColumns, "__init__", counted)
    monkeypatch.setattr(RunFolder, "rows_at", watched)
    monkeypatch.setattr(cells, "PART", 12)
    score_run(folder, build_metrics(["all"]), [], Topic("", []), 1, Resampling(20), None)
    assert len(parts) == 6 * 6 and max(parts) < len(SETTINGS) * len(SEEDS)  # parts of two records of six cells
    assert set(whole) <= {0, 1}  # the one before, while the next is read


def test_no_file_is_left_beside_those_of_the_run(folder):
    score_run(folder, build_metrics(["all"]), [], Topic("", []), 1, Resampling(20), None)
    names = {"config.yaml", "manifest.json", "records.jsonl", "generations.jsonl", "scores.json", "items.csv"}
    assert {file.name for file in folder.path.iterdir()} == names


def test_statistics_are_stored_as_they_were_also_where_values_come_late(tmp_path):
    length, rate, never = build_metrics(["length", "perplexity_corpus", "question_rate"])
    places = [("off", 0), ("on", 0)]
    with Stored([length, rate, never], places, 3, tmp_path) as stored:
        stored.add(length, places, slice(0, 2), np.array([[1.0], [2], [3], [-0.0]]))
        stored.add(length, places, slice(2, 3), np.array([[np.nan], [0.1]]))
        stored.add(rate, places, slice(0, 2), np.full((4, 1), np.nan))
        stored.add(rate, places, slice(2, 3), np.array([[1.5, 2], [np.nan, 4]]))
        stored.add(never, [places[1]], slice(0, 3), np.full((3, 1), np.nan))
        lacking = [[np.nan, np.nan]] * 2
        expected = {
            length: [[[1], [2], [np.nan]], [[3], [-0.0], [0.1]]],
            rate: [[*lacking, [1.5, 2]], [*lacking, [np.nan, 4]]],
            never: [[[np.nan]] * 3] * 2,
        }
        for metric, by_place in expected.items():
            for place, values in zip(places, by_place, strict=True):
                assert stored[metric][place].tobytes() == np.array(values, dtype=float).tobytes()
        assert list(stored) == [length, rate, never] and list(stored[rate]) == places
    assert not list(tmp_path.iterdir())


def test_equal_texts_count_once():
    assert list(different(["a", "b", "a", "", "b", ""])) == ["a", "b", ""]


def test_rows_are_found_wherever_they_stand(folder):
    rows = [json.loads(line) for line in folder.generations.read_text().splitlines()]
    begins = [begin for begin, _ in folder.each_row()]
    assert folder.rows_at(begins[::-1]) == rows[::-1] == folder.rows()[::-1]


@pytest.mark.parametrize("large", [10**6, 0])
def test_items_have_one_file_of_either_form_with_the_metrics_of_each_response(folder, monkeypatch, large):
    monkeypatch.setattr(item_files, "LARGE", large)
    metrics, notes = build_metrics(["length", "perplexity_corpus"]), []
    folder.path.joinpath("items.csv").write_text("old")
    folder.path.joinpath("items.parquet").write_text("old")
    table, signatures = score_run(folder, metrics, [], Topic("", []), 1, Resampling(20), None, notes.append)
    name = "items.csv" if large else "items.parquet"
    assert [file.name for file in folder.path.glob("items*")] == [name]
    assert [note for note in notes if name in note] == [note for note in notes if not large]
    items = Result(folder, table, signatures).items
    assert list(items) == ["setting", "seed", "id", "length", "perplexity_corpus"]
    expected = rows_of()
    for key in ("setting", "seed", "id"):
        assert items[key].tolist() == [row[key] for row in expected]
    assert items["length"].tolist() == [len(row["response"].split()) for row in expected]
    rates = [math.nan if row["tokens"] is None else np.exp(2.5 / 4) for row in expected]
    assert np.array_equal(items["perplexity_corpus"], rates, equal_nan=True)
    keyed = [(row["setting"], row["seed"], row["id"], rate) for row, rate in zip(expected, rates, strict=True)]
    assert list(item_files.each_value(folder, "perplexity_corpus")) == [one for one in keyed if one[-1] == one[-1]]
    if not large:
        assert parquet.ParquetFile(folder.path / name).num_row_groups == len(SETTINGS) * len(SEEDS)


def test_names_that_a_spreadsheet_would_run_are_read_as_they_were(tmp_path):
    folder = RunFolder(tmp_path / "run")
    names = ["=off", "'=on"]
    records = [Record("@1", ()), Record("NA", ())]
    folder.create("layout: {}", {"identity": "x", "settings": names, "seeds": [0]}, records)
    folder.write_rows(
        {"setting": name, "seed": 0, "id": one.id, "response": "x y"} for name in names for one in records
    )
    score_run(folder, build_metrics(["length"]), [], Topic("", []), 1, Resampling(20), None)
    items = item_files.read_items(folder)
    assert items["setting"].tolist() == ["=off", "=off", "'=on", "'=on"] and items["id"].tolist() == ["@1", "NA"] * 2
