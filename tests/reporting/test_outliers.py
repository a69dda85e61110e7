import numpy as np
import pytest

from reswork.reporting.outliers import outliers


def blobs(count: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 5 * rng.normal(size=(4, 16))
    return (centres[rng.integers(0, 4, count)] + rng.normal(size=(count, 16))).astype(np.float32)


def test_distances_are_the_obvious_ones():
    points = blobs(60)
    scaled = (points - points.mean(axis=0)) / points.std(axis=0)
    far = np.linalg.norm(scaled[:, None] - scaled, axis=2)
    np.fill_diagonal(far, np.inf)
    wanted = np.sort(far, axis=1)[:, :10].mean(axis=1)
    assert outliers(points).all_distances == pytest.approx(wanted, rel=1e-5)


def test_what_is_far_is_found_first_and_hardly_anything_in_healthy_points():
    points = blobs()
    assert len(outliers(points)) <= 6, "one in fifty"
    points[[7, 70]] = -8 * np.eye(16)[[0, 5]] + 8 * np.eye(16)[[9, 11]]
    found = outliers(points)
    assert set(found.images[:2]) == {7, 70} and len(found) <= 8
    assert found.beyond(0.0).images.shape == (300,) and len(found.beyond(1e9)) == 0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_images_and_equal_ones(count):
    assert len(outliers(np.ones((count, 3), np.float32))) == 0
