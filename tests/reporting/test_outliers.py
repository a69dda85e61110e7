import numpy as np
import pytest

from reswork.reporting.outliers import outliers


def blobs(count: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 5 * np.random.default_rng(1).normal(size=(4, 16))
    return (centres[rng.integers(0, 4, count)] + rng.normal(size=(count, 16))).astype(np.float32)


@pytest.mark.parametrize("apart", [False, True])
def test_distances_are_the_obvious_ones(apart):
    layers = {"early": blobs(60), "late": blobs(60, 2)[:, :5]}
    others = {"early": blobs(40, 3), "late": blobs(40, 4)[:, :5]} if apart else None
    wanted = np.zeros(60)
    for name, values in layers.items():
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        base = unit if others is None else others[name] / np.linalg.norm(others[name], axis=1, keepdims=True)
        far = np.linalg.norm(unit[:, None].astype(np.float64) - base, axis=2)
        if others is None:
            np.fill_diagonal(far, np.inf)
        logs = np.log(np.sort(far, axis=1)[:, :10].mean(axis=1))
        wanted += (logs - np.median(logs)) / np.subtract(*np.quantile(logs, (0.75, 0.25)))
    assert outliers(layers, others).all_distances == pytest.approx(wanted, abs=1e-3)


def test_what_is_far_is_found_first_and_hardly_anything_in_healthy_points():
    points, trained = blobs(), {"fc": blobs(400, 5)}
    assert len(outliers({"fc": points}, trained)) <= 6, "one in fifty"
    points[[7, 70]] = -8 * np.eye(16)[[0, 5]] + 8 * np.eye(16)[[9, 11]]
    found = outliers({"fc": points}, trained)
    assert set(found.images[:2]) == {7, 70} and len(found) <= 8
    assert found.beyond(-1e9).images.shape == (300,) and len(found.beyond(1e9)) == 0


def test_many_strange_ones_hide_among_each_other_but_not_before_a_reference():
    points = blobs()
    strange = np.arange(300) < 30
    points[strange] = 9 * np.eye(16)[0] + 0.2 * np.random.default_rng(2).normal(size=(30, 16))
    alone, beside = outliers({"fc": points}), outliers({"fc": points}, {"fc": blobs(400, 5)})
    assert strange[beside.images].sum() == 30 and strange[alone.images].sum() < 5


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_images_and_equal_ones(count):
    assert len(outliers({"fc": np.ones((count, 3), np.float32)})) == 0
