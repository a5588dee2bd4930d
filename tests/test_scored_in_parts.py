"""Counting many texts at once is the library's counting of each, and scoring in parts is scoring at once."""

import json
import random
import tracemalloc
from collections import Counter

import numpy as np
import pytest
import sacrebleu
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from tests.data import RESPONSES, TEXTS
from zsc.data.files import byte_lines
from zsc.data.record import Record, Turn
from zsc.generation.folder import RunFolder
from zsc.metrics import METRICS, build_metrics, cells, ngrams, score
from zsc.metrics.cells import Cells, store_statistics
from zsc.metrics.items import record_columns
from zsc.metrics.judges import Topic
from zsc.metrics.keywords import stop_words
from zsc.metrics.ngrams import common, paired, split_by
from zsc.metrics.options import Resampling
from zsc.metrics.perplexity import Middle
from zsc.metrics.responses import read_responses
from zsc.metrics.run import control_phrases, score_run
from zsc.metrics.stored import Stored

ODD = ["", " ", "a", "the the the the the the", "I like tea, don't I?", "(see) 3.5-4 &amp; more...", "x" * 50,
       "naïve Café e\u0301", "我喜欢音乐。", "😀 😀", "a b c d e f g a b c d", "tea tea  tea\ttea",
       "I like tea, do you?"]  # fmt: skip
PAIRS = [(one, other) for one in [*ODD, *RESPONSES] for other in [*ODD, *TEXTS]]


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("reference_chrf", sacrebleu.CHRF()),
        ("reference_chrf_pp", sacrebleu.CHRF(word_order=2)),
        ("reference_bleu", sacrebleu.BLEU(force=True)),
    ],
)
@pytest.mark.parametrize("widest", [ngrams.WIDEST, 1])
def test_statistics_are_the_librarys_of_each_pair(name, library, widest, monkeypatch):
    monkeypatch.setattr(ngrams, "WIDEST", widest)
    said, known = map(list, zip(*PAIRS, strict=True))
    expected = library._extract_corpus_statistics(said, [known])
    assert build_metrics([name], "13a")[0].statistics(said, known).tolist() == expected


@pytest.mark.parametrize("name", ["reference_chrf", "reference_chrf_pp"])
def test_chrf_of_any_sums_is_the_librarys_to_the_last_digit(name):
    rng, metric = np.random.default_rng(0), METRICS[name](name)
    orders = 6 + metric.word_order
    both = rng.integers(0, 40, (300, orders)) * rng.integers(0, 2, (300, orders))
    more = rng.integers(0, 90, (2, 300, orders)) * rng.integers(0, 2, (2, 300, orders))
    sums = np.stack([both + more[0], both + more[1], both], axis=-1).reshape(300, -1).astype(float)
    sums[:9] = 0
    expected = [metric.chrf._compute_f_score(row) for row in sums.tolist()]
    assert len(set(expected)) > 250 and metric.from_sums(sums, np.ones(300)).tolist() == expected


@pytest.mark.parametrize("widest", [ngrams.WIDEST, 1])
def test_what_texts_have_in_common_is_that_of_counters(widest, monkeypatch):
    monkeypatch.setattr(ngrams, "WIDEST", widest)
    said, known = zip(*PAIRS, strict=True)
    texts, known_of = paired(said, known)
    assert len(texts) == len(said) + len(set(known)) and [texts[len(said) + i] for i in known_of] == [*known]
    found = common(split_by(str.split, texts), known_of, 3)
    for (one, other), by_order in zip(PAIRS, found.tolist(), strict=True):
        for order, counts in enumerate(by_order, start=1):
            a, b = (Counter(zip(*(text.split()[i:] for i in range(order)), strict=False)) for text in (one, other))
            held = sum(count for gram, count in a.items() if gram in b)
            assert counts == [a.total(), b.total(), (a & b).total(), held]


def test_the_middle_is_found_wherever_it_lies():
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, (40, 300)).astype(float)
    weights[20:, 30:] = 0  # all weight lies at one end

    def found(near):
        middle = Middle(np.arange(300), near)
        return middle.of(weights @ middle.counts, weights)

    every = found(300)
    for near in (0, 1, 5):
        assert [one.tolist() for one in found(near)] == [one.tolist() for one in every]
    sums = np.cumsum(weights, axis=1)
    assert every[0].tolist() == (sums < sums[:, -1:] / 2).sum(axis=1).tolist()


def test_stop_words_are_those_that_scikit_learn_exports():
    assert stop_words() == ENGLISH_STOP_WORDS


@pytest.mark.parametrize("content", [b"", b"a\nb", b"a\r\nb\r\n", b"a\rb\n\nc\n", b"\n"])
def test_lines_are_read_one_after_another_as_all_at_once(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    found = list(byte_lines(tmp_path / "x"))
    assert [line for _, line in found] == content.splitlines()
    assert all(content[begin:].startswith(line) for begin, line in found)


def run_of(path, examples, settings, seeds=(0, 1)):
    """A run of texts of which some are missing, some are no ASCII, and a field has the name of a judge's column."""
    rng = random.Random(5)
    said = ["the", "cat", "sat", "on", "a", "red", "mat", ",", "what", "now", "?", "oh"]
    texts = [*ODD[2:], *(" ".join(rng.choices(said, k=9)) for _ in range(30))]

    def record(i):
        turns = tuple(Turn("a", rng.choice(texts)) for _ in range(i % 3))
        knowledge, reference = rng.choice([*texts, None]), rng.choice(texts)
        fields = {"topic_similarity": "x", "document": rng.choice(texts)}
        return Record(str(i), turns, reference, knowledge, fields=fields)

    records = [record(i) for i in range(examples)]
    names = [f"s{i}" for i in range(settings)]
    rows = [
        {"setting": name, "seed": seed, "id": one.id, "response": rng.choice([*texts, *texts, None, ""]),
         "nll": rng.uniform(1, 9), "tokens": rng.choice([None, *range(9)])}
        for name in names for seed in seeds for one in records
    ]  # fmt: skip
    path.mkdir()
    folder = RunFolder(path)
    drawn = {name: {"q": ["what now"]} for name in names[1:]}
    manifest = {"settings": names, "seeds": list(seeds), "made_from": {"phrases": drawn}}
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "records.jsonl").write_text("".join(f"{json.dumps(one.to_json())}\n" for one in records))
    rng.shuffle(rows)
    folder.write_rows(rows)
    return folder


def results(folder, resamples=60, names=("all",)):
    score_run(folder, build_metrics([*names]), [], Topic("t", ["red mat"]), 2, Resampling(resamples), None)
    return [(folder.path / name).read_bytes() for name in ("scores.json", "items.csv")]


def test_results_do_not_depend_on_the_size_of_parts(tmp_path, monkeypatch):
    folder = run_of(tmp_path / "run", 23, 3)
    expected = results(folder)
    for part, limit in ((1, 1), (7, 3000), (10_000, 10**9)):
        monkeypatch.setattr(cells, "PART", part)
        monkeypatch.setattr(score, "LIMIT", limit)
        assert results(folder) == expected


def test_a_part_of_what_is_resampled_has_never_one_column_of_sums():
    arrays = {name: np.random.default_rng(0).random((9, 2)) for name in ("length", "question_rate", "repetition")}
    metrics = build_metrics([*arrays, "perplexity_median"])
    cells = {metric: {("s", 0): arrays.get(metric.measure, np.ones((9, 2)))[:, :1]} for metric in metrics}
    given = {metric: score.Grouped(cells[metric], ["s"], [0]) for metric in metrics}
    assert [len(part) for part in score.at_a_time(given, 10**7)] == [4]
    assert [len(part) for part in score.at_a_time(dict(list(given.items())[:2]), 10**7)] == [2]
    assert [len(part) for part in score.at_a_time(given, 10)] == [4]


def test_statistics_in_parts_are_those_of_whole_cells(tmp_path):
    folder = run_of(tmp_path / "run", 40, 2)
    manifest, records = folder.manifest(), folder.records()
    responses = read_responses(folder, records, manifest["settings"], manifest["seeds"])
    shared, judged = record_columns(records, 2, ["mat"]), frozenset({"topic_similarity"})
    run = Cells(records, shared, responses, control_phrases(folder), left_out=judged)
    metrics = [metric.fitted(run)[0] for metric in build_metrics(["all"])]
    with Stored(metrics, list(responses), len(records), tmp_path) as found:
        store_statistics(found, run)
        for metric in metrics:
            for place, columns in zip(responses, run, strict=True):
                whole = score.cell_statistics(metric, columns)
                assert np.array_equal(found[metric][place], whole, equal_nan=True)


def test_what_is_kept_of_a_further_response_is_less_than_a_kilobyte(tmp_path, monkeypatch):
    """What is resampled at a time, which ``LIMIT`` bounds whatever the size of the run, is kept small here."""
    monkeypatch.setattr(score, "LIMIT", 100_000)
    names = [name for name, build in METRICS.items() if name != "reference_ter"]  # which takes long
    results(run_of(tmp_path / "first", 10, 2), names=names)  # what is imported is no part of it
    held = []
    for settings in (2, 4):
        folder = run_of(tmp_path / str(settings), 400, settings, seeds=[0])
        tracemalloc.start()
        results(folder, 100, names)
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert held[1] - held[0] < 1000 * 2 * 400  # texts of 30 bytes included
