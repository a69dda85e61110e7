import sys
from types import SimpleNamespace

import numpy as np
import pytest

from reswork.errors import InvalidSetting
from reswork.reporting.embedding_map import embedding_map
from reswork.results.embedding_map import EmbeddingMap


def test_umap_is_asked_of_its_package_and_named_where_it_is_missing(monkeypatch):
    values = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InvalidSetting, match=r"umap-learn: pip install 'reswork\[umap\]'"):
        embedding_map(values, method="umap")

    asked = []

    class FakeUMAP:
        def __init__(self, **settings):
            asked.append(settings)

        def fit_transform(self, sample):
            return sample[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=FakeUMAP))
    found = embedding_map(values, method="umap", most=10)
    assert asked == [{"n_neighbors": 9, "random_state": 0}] and found.points.shape == (10, 2)
    assert np.array_equal(found.points, values[found.images, :2]) and np.isnan(found.explained).all()


def test_inside_is_what_a_line_from_each_point_crosses_oddly_often():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (500, 2)).astype(np.float32)
    found = EmbeddingMap("fc", "pca", points, np.arange(500) + 7, np.zeros(2))
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    corners = 0.8 * np.column_stack([np.cos(angles), np.sin(angles)]) * rng.uniform(0.4, 1, (9, 1))
    turned = corners - points[:, None]  # angles under which each edge is seen add up to a whole turn inside
    seen = np.arctan2(turned[..., 1], turned[..., 0])
    turns = (np.diff(seen, axis=1, append=seen[:, :1]) + np.pi) % (2 * np.pi) - np.pi
    wanted = np.flatnonzero(np.abs(turns.sum(axis=1)) > np.pi) + 7
    assert 20 < len(wanted) < 400 and np.array_equal(found.inside(*corners.T), wanted)
