"""Intervals and tests against repeated samples made the slow way, hand-worked cases and scipy."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from tests.data import RESPONSES, TEXTS
from zsc.metrics import METRICS, resampling
from zsc.metrics.as_evaluate import AsEvaluate
from zsc.metrics.items import LISTS
from zsc.metrics.resampling import (
    Exchange,
    Products,
    bootstrap,
    bootstrap_weights,
    effect_size,
    holm,
    interval,
    is_whole,
    paired_bootstrap_p,
    sign_flip,
)

LENGTH = METRICS["length"]("length")
NUMBERS = {"nll": [3.0, 8.0, 4.0, 9.0], "judge_nll": [1.0, 5.0, 2.0, 2.0]}
COUNTED_OVER_ALL = {"distinct1", "distinct2", "uniqueness", "most_repeated", "self_bleu"}


def drawn(examples, count, seed):
    """The weights of all samples."""
    return np.concatenate([weights.copy() for weights in bootstrap_weights(examples, count, seed)])


def given(metric):
    if metric.predictions in ("nll", "judge_nll"):
        return NUMBERS[metric.predictions], [3, 4, 2, 5]
    if metric.predictions != "response":
        return [0.2, 0.9, 0.4, 0.6], None
    if metric.further:
        return RESPONSES, [["[F]the[/F] cat", "[F]sat[/F]"], ["a [F]dog[/F]", "x"], ["y", "z"], ["x", "[F]Cats[/F]"]]
    if metric.references in LISTS:
        return RESPONSES, [["cats", "Cat sat!"], ["a dog"], ["cats", "x"], ["know"]]
    return RESPONSES, TEXTS if metric.references else None


@pytest.mark.parametrize("name", [name for name in METRICS if name not in COUNTED_OVER_ALL])
def test_a_weighted_sample_is_the_metric_of_the_repeated_responses(name):
    metric = METRICS[name](name)
    predictions, references = given(metric)
    statistics = metric.statistics(predictions, references)[:, None, :]
    for weights in ([1, 1, 1, 1], [2, 0, 1, 3], [0, 1, 0, 1], [1, 2, 2, 0]):
        repeated = [i for i, count in enumerate(weights) for _ in range(count)]
        columns = {"predictions": [predictions[i] for i in repeated]}
        if references:
            columns["references"] = [references[i] for i in repeated]
        actual = metric.weighted(statistics, np.array([weights], dtype=float))[0]
        assert actual == pytest.approx(AsEvaluate(metric).compute(**columns)[name])


@pytest.mark.parametrize(("examples", "seeds"), [(1, 1), (3, 1), (4, 2), (17, 3), (60, 1)])
def test_medians_are_those_of_the_repeated_responses(examples, seeds):
    rng, metric = np.random.default_rng(examples), METRICS["perplexity_median"]("perplexity_median")
    nats = rng.integers(1, 9, (examples, seeds)).astype(float)  # with ties
    weights = drawn(examples, 200, 0)
    expected = [np.exp(np.median(np.repeat(nats, row.astype(int), axis=0))) for row in weights]
    statistics = np.stack([nats, np.ones_like(nats)], axis=2)
    assert metric.weighted(statistics, weights).tolist() == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("name", list(METRICS))
def test_metrics_weighed_together_are_the_metrics_weighed_alone(name):
    metric, others = (
        METRICS[name](name),
        [METRICS["length"]("length"), METRICS["perplexity_median"]("perplexity_median")],
    )
    predictions, references = given(metric)
    statistics = metric.statistics(predictions, references)[:, None, :]
    pair = [statistics, statistics[::-1]]
    lengths, rates = np.arange(4.0).reshape(4, 1, 1), np.array(NUMBERS["nll"] + [3, 4, 2, 5]).reshape(2, 4).T[:, None]
    together = bootstrap([(others[0], [lengths] * 2), (metric, pair), (others[1], [rates] * 2)], 50, seed=3)[1]
    weights = drawn(4, 50, 3)
    for row, one in zip(together, pair, strict=True):
        assert row == pytest.approx(metric.weighted(one, weights))


def test_examples_are_drawn_with_replacement_evenly():
    weights = drawn(30, 20_000, 0)
    assert weights.shape == (20_000, 30) and (weights.sum(axis=1) == 30).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.04)
    assert weights.var(axis=0) == pytest.approx(np.full(30, 29 / 30), abs=0.06)  # of a binomial(30, 1/30)


def test_weights_are_the_counts_of_what_is_drawn(monkeypatch):
    rng = np.random.default_rng(3)
    expected = [np.bincount(row, minlength=9) for row in rng.integers(9, size=(20, 9), dtype=np.int32)]
    for at_once in (1, 20, 10**6):
        monkeypatch.setattr(resampling, "COUNTED", at_once)
        assert drawn(9, 20, 3).tolist() == np.array(expected).tolist()


def test_products_are_those_of_double_precision_to_the_last_bit():
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 5, (30, 400)).astype(float)
    few, many = rng.integers(-90, 90, (400, 3)).astype(float), rng.integers(0, 2**30, (400, 1)).astype(float)
    real = rng.normal(size=(400, 2))
    products = Products([few, real, many, few[:, :1]], 2000)
    assert products.kinds == [np.float32, np.float64, np.float64, np.float32]
    found = products.of(weights)
    for one, columns in zip(found, (few, real, many, few[:, :1]), strict=True):
        assert one.dtype == np.float64 and np.allclose(one, weights @ columns, rtol=1e-13)
    for one, columns in zip(found[2:], (many, few[:, :1]), strict=True):
        exact = [[sum(int(w) * int(v) for w, v in zip(row, columns[:, 0], strict=True))] for row in weights]
        assert one.tolist() == exact
    both = np.concatenate([real[:, :1], few, real[:, 1:]], axis=1)
    (alone,) = Products([real[:, :1]], 2000).of(weights)
    assert alone.tolist() == (weights @ both)[:, :1].tolist()


@pytest.mark.parametrize(("numbers", "most", "whole"), [
    ([2.0**20, 0], 15, True), ([2.0**20, 0], 16, False), ([-(2.0**20)], 16, False), ([0.5], 1, False),
    ([np.nan], 1, False), ([], 5, True),
])  # fmt: skip
def test_what_single_precision_adds_up_exactly(numbers, most, whole):
    assert is_whole(np.array(numbers), most, np.float32) == whole


@pytest.mark.parametrize("name", ["reference_bleu", "perplexity_median", "distinct1", "length"])
def test_an_exchange_is_that_of_each_example_by_itself(name):
    """Of whole numbers, of others and of medians: two sides, put together anew for every sample."""
    metric, rng = METRICS[name](name), np.random.default_rng(1)
    predictions, references = given(metric)
    one = np.tile(metric.statistics(predictions, references), (3, 1))[:, None, :]
    arrays = [one, rng.permutation(one), rng.permutation(one) + 1]
    swapped = rng.integers(2, size=(40, len(one)), dtype=np.int8)
    ((first, others),) = Exchange([(metric, arrays)], len(one)).values(swapped)
    for i in (1, 2):
        for sample, flips in enumerate(swapped.astype(bool)[:, :, None, None]):
            expected = [metric.value(np.where(flips, *sides)) for sides in ((arrays[i], one), (one, arrays[i]))]
            assert [first[i - 1, sample], others[i - 1, sample]] == pytest.approx(expected, rel=1e-14)


def test_seeds_are_pooled_and_examples_resampled():
    statistics = np.array([[[1.0], [3.0]], [[5.0], [7.0]]])  # two examples, two seeds
    assert LENGTH.value(statistics) == 4
    values = bootstrap([(LENGTH, [statistics])], 500, seed=0)[0][0]
    assert set(values) == {2.0, 4.0, 6.0}  # both seeds of an example always come together


def test_interval_agrees_with_the_normal_approximation_and_pairing_narrows_the_difference():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, size=(400, 1, 1))
    off, on = shared, shared + 0.1 + rng.normal(0, 0.1, size=shared.shape)
    values = bootstrap([(LENGTH, [off, on])], 2000, seed=1)[0]
    low, high = interval(values[0], 0.95)
    half = 1.96 * off.std() / np.sqrt(400)
    assert low == pytest.approx(off.mean() - half, abs=0.02) and high == pytest.approx(off.mean() + half, abs=0.02)
    low, high = interval(values[1] - values[0], 0.95)
    assert 0.08 < low < 0.1 < high < 0.12


def test_sign_flip_is_scipys_permutation_test_of_paired_samples():
    rng = np.random.default_rng(2)
    for shift in (0.0, 0.4, 1.5):
        off = rng.normal(size=12)
        on = off + shift + rng.normal(0, 1, size=12)
        exact = permutation_test(
            (on, off), lambda a, b: np.mean(a) - np.mean(b), permutation_type="samples", n_resamples=2**12
        ).pvalue
        ((p,),) = sign_flip([(LENGTH, [off.reshape(-1, 1, 1), on.reshape(-1, 1, 1)])], 40_000, seed=0)
        assert p == pytest.approx(exact, abs=0.01)


def test_sign_flip_of_a_ratio_exchanges_whole_examples():
    # distinct-n: 2 examples; the four exchanges give differences of (1/4 - 3/4), (3/4 - 1/4) and twice 0, by hand
    metric = METRICS["distinct1"]("distinct1")
    off, on = np.array([[[1.0, 4.0]], [[1.0, 4.0]]]), np.array([[[3.0, 4.0]], [[3.0, 4.0]]])
    ((p,),) = sign_flip([(metric, [off, on])], 20_000, seed=0)
    assert p == pytest.approx(0.5, abs=0.02)
    ((p,),) = sign_flip([(metric, [off, off])], 100, seed=0)
    assert p == 1


def test_tests_hold_their_level_without_a_difference():
    rng = np.random.default_rng(5)
    flips, boots = [], []
    for _ in range(300):
        off, on = rng.normal(size=(2, 40, 2, 1))
        flips.append(sign_flip([(LENGTH, [off, on])], 199, seed=0)[0][0])
        samples = bootstrap([(LENGTH, [off, on])], 199, seed=0)[0]
        boots.append(paired_bootstrap_p(on.mean() - off.mean(), samples[1] - samples[0]))
    assert 0.02 < np.mean(np.array(flips) <= 0.05) < 0.085
    assert 0.02 < np.mean(np.array(boots) <= 0.05) < 0.095


def test_paired_bootstrap_p_by_hand():
    # around their mean of 1 the samples lie at -2, -1, 0, 1, 2: two are 2 away, and one is added to both counts
    assert paired_bootstrap_p(2.0, np.array([-1.0, 0, 1, 2, 3])) == 3 / 6
    assert paired_bootstrap_p(0.0, np.zeros(9)) == 1


def test_holm_by_hand():
    # .005 * 4, .01 * 3, .03 * 2, and .04 * 1 raised to the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1, 1] and holm([]) == []


def test_the_effect_size_of_a_mean_is_cohens_d_of_paired_samples():
    rng = np.random.default_rng(1)
    off = rng.normal(size=(500, 1, 1))
    on = off + rng.normal(0.3, 0.6, size=off.shape)
    samples = bootstrap([(LENGTH, [off, on])], 10_000, seed=0)[0]
    differences = (on - off).ravel()
    assert effect_size(differences.mean(), samples[1] - samples[0], 500) == pytest.approx(
        differences.mean() / differences.std(), rel=0.03
    )
    assert effect_size(0.0, np.zeros(10), 5) is None
