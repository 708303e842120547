import numpy as np
import pytest

from xreid.core.errors import ConfigError
from xreid.evaluation.intervals import Bootstrap, estimate, resampled_means
from xreid.evaluation.metrics import METRICS


def values_of(generator: np.random.Generator, count: int) -> np.ndarray:
    return generator.random((count, len(METRICS)))


def test_a_draw_equals_pooling_the_queries_of_the_drawn_identities() -> None:
    """Naive oracle: build each draw's list of queries one by one from the same multinomial weights."""
    generator = np.random.default_rng(0)
    identities = [f"p{i}" for i in generator.integers(0, 7, 40)]
    values = values_of(generator, 40)
    drawn = Bootstrap(resamples=50, seed=3)
    fast = resampled_means(values, identities, bootstrap=drawn)
    assert fast is not None
    from xreid.core.seeding import numpy_generator

    names = sorted(set(identities))
    weights = numpy_generator(3, "bootstrap").multinomial(len(names), [1 / len(names)] * len(names), size=50)
    for line, weight in zip(fast, weights, strict=True):
        pool = [
            v
            for name, times in zip(names, weight, strict=True)
            for _ in range(times)
            for v, p in zip(values, identities, strict=True)
            if p == name
        ]
        np.testing.assert_allclose(line, np.mean(pool, axis=0))


def test_the_interval_holds_the_mean_and_is_reproducible() -> None:
    generator = np.random.default_rng(1)
    values, identities = values_of(generator, 60), [str(i % 20) for i in range(60)]
    first, again = (estimate(values, identities, bootstrap=Bootstrap(seed=5)) for _ in range(2))
    assert first == again
    for i, name in enumerate(METRICS):
        e = first[name]
        assert e.value == pytest.approx(values[:, i].mean())
        assert e.low is not None
        assert e.high is not None
        assert e.low < e.value < e.high


def test_queries_of_one_person_count_as_one_piece_of_evidence() -> None:
    """Ten copies of each query do not narrow the interval over identities."""
    generator = np.random.default_rng(2)
    values = values_of(generator, 30)
    identities = [str(i) for i in range(30)]
    once = estimate(values, identities, bootstrap=Bootstrap())["mAP"]
    tenfold = estimate(np.repeat(values, 10, 0), np.repeat(identities, 10).tolist(), bootstrap=Bootstrap())
    assert tenfold["mAP"].low == pytest.approx(once.low)
    assert tenfold["mAP"].high == pytest.approx(once.high)


def test_coverage_is_about_what_it_says() -> None:
    """95% intervals of a known mean hold it in 90% to 99% of 200 draws of 60 people, 1 to 9 queries each."""
    generator = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        sizes = generator.integers(1, 10, 60)
        strength = np.repeat(generator.random(60), sizes)
        values = np.repeat(
            (generator.random(len(strength)) < strength)[:, None].astype(float), len(METRICS), 1
        )
        identities = np.repeat(np.arange(60), sizes).astype(str).tolist()
        e = estimate(values, identities, bootstrap=Bootstrap(resamples=500))["mAP"]
        assert e.low is not None
        assert e.high is not None
        held += e.low <= 0.5 <= e.high
    assert 180 <= held <= 198


def test_one_identity_gives_no_interval() -> None:
    e = estimate(values_of(np.random.default_rng(0), 4), ["a"] * 4, bootstrap=Bootstrap())["mAP"]
    assert (e.low, e.high) == (None, None)


def test_intervals_can_be_switched_off() -> None:
    values = values_of(np.random.default_rng(0), 4)
    assert estimate(values, list("abcd"), bootstrap=Bootstrap(resamples=0))["mAP"].low is None


@pytest.mark.parametrize("wrong", [{"resamples": -1}, {"confidence": 0.0}, {"confidence": 95.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="bootstrap"):
        Bootstrap(**wrong)  # type: ignore[arg-type]
