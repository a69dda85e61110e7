import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reswork.results.serving import ServerState, bucket_quantile
from reswork.shipping.watching import ServerWatch


def told(count: int, fast: int, **more: float) -> dict[str, float]:
    """Metrics of a server that answered so many requests, of which so many within 10 ms and the rest within 20 ms."""
    return {
        "reswork_request_seconds_bucket{le=0.01}": fast,
        "reswork_request_seconds_bucket{le=0.02}": count,
        "reswork_request_seconds_bucket{le=+Inf}": count,
        "reswork_requests_total{status=200}": count,
        "reswork_uptime_seconds": 5.0,
        **more,
    }


@pytest.fixture
def watch() -> ServerWatch:
    server: Any = SimpleNamespace(version="abc")
    return ServerWatch(server)


def test_a_quantile_from_buckets_is_close_to_the_samples() -> None:
    samples = np.random.default_rng(0).uniform(0, 1, 5000)
    bounds = np.array([0.1, 0.3, 0.5, 0.8, 1.0, np.inf])
    counts = np.array([(samples <= bound).sum() for bound in bounds])
    for q in (0.05, 0.5, 0.95):
        assert bucket_quantile(q, bounds, counts) == pytest.approx(np.quantile(samples, q), abs=0.02)
    assert bucket_quantile(0.9, np.array([1.0, np.inf]), np.array([0, 4])) == 1.0
    assert math.isnan(bucket_quantile(0.5, np.array([1.0, np.inf]), np.array([0, 0])))
    assert math.isnan(bucket_quantile(0.5, np.array([]), np.array([])))


def test_rates_and_times_are_those_between_two_looks(watch: ServerWatch) -> None:
    watch.take(0.0, told(100, 100))
    watch.take(2.0, told(120, 100, **{"reswork_requests_total{status=429}": 4.0, "reswork_queue": 3.0}))
    watch.take(
        4.0,
        told(
            120, 100, **{"reswork_requests_total{status=429}": 4.0, "reswork_requests_total{status=504}": 2.0}
        ),
    )
    load = watch.load
    assert load.seconds.tolist() == [2.0, 4.0]
    assert (load.answered.tolist(), load.refused.tolist(), load.failed.tolist()) == ([10, 0], [2, 0], [0, 1])
    assert load.p50_ms[0] == pytest.approx(15) and load.p95_ms[0] == pytest.approx(19.5)
    assert np.isnan(load.p50_ms[1]) and load.waiting.tolist() == [3.0, 0.0]
    state = watch.state
    assert (state.requests, state.refused, state.failed, state.p95_ms) == (126, 4, 2, pytest.approx(19.5))


def test_a_first_look_tells_the_whole_and_deployments_count_the_first_version(watch: ServerWatch) -> None:
    watch.take(0.0, told(10, 10))
    assert watch.load.seconds.shape == (0,) and watch.state.p95_ms == pytest.approx(9.5)
    reloads = {"reswork_reloads_total{result=done}": 2, "reswork_reloads_total{result=refused}": 1}
    errors = {"reswork_test_error{version=now}": 0.06, "reswork_test_error{version=before}": 0.08}
    watch.take(1.0, told(10, 10, **reloads, **errors))
    state = watch.state
    assert (state.deployed, state.tried, state.version) == (3, 4, "abc")
    assert state.error_reduction == pytest.approx(0.25)
    assert math.isnan(state.drift["contrast"][0])


def test_without_a_version_before_there_is_no_reduction() -> None:
    state = ServerState("a", 0, 0, 0, 0, 0, 0, 0, 1, 1, 0.1, math.nan, {})
    assert math.isnan(state.error_reduction)
