"""`ServerWatch`: looks at a server now and then, and tells what it did meanwhile."""

import re
import time
from collections import deque
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from reswork.results.serving import ServerLoad, ServerState, bucket_quantile
from reswork.shipping.serving import Server

_MOST = 600  # looks that are kept
_MINUTE_S = 60.0
_BUCKET = re.compile(r"reswork_request_seconds_bucket\{le=(.+)\}")
_STATUS = re.compile(r"reswork_requests_total\{status=(\d+)\}")
_TRAITS = ("brightness", "contrast", "confidence")


class ServerWatch:
    """Keeps what a server's ``/metrics`` said.

    Args:
        server: from `reswork.serve`.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=_MOST)
        self._begin = time.monotonic()

    def look(self) -> None:
        """Ask it once.

        Raises:
            InvalidSetting: it does not answer.
        """
        self.take(time.monotonic() - self._begin, self.server.metrics())

    def take(self, seconds: float, metrics: Mapping[str, float]) -> None:
        """Keep what it said so many seconds after the watch began."""
        self._looks.append((seconds, metrics))

    @property
    def load(self) -> ServerLoad:
        """What it did between the looks."""
        looks = list(self._looks)
        ends = np.array([seconds for seconds, _ in looks[1:]])
        steps = np.diff([seconds for seconds, _ in looks]) if len(looks) > 1 else np.zeros(0)
        pairs = [(before, after) for (_, before), (_, after) in pairwise(looks)]
        rates = np.array([_outcomes(after) - _outcomes(before) for before, after in pairs]).reshape(-1, 3)
        rates = rates / np.maximum(steps, 1e-9)[:, None]
        p50, p95 = (np.array([1e3 * _quantile(q, *pair) for pair in pairs]) for q in (0.5, 0.95))
        waiting = np.array([after.get("reswork_queue", 0.0) for _, after in pairs])
        return ServerLoad(ends, rates[:, 0], rates[:, 1], rates[:, 2], p50, p95, waiting)

    @property
    def state(self) -> ServerState:
        """How it is, by the last look.

        Raises:
            IndexError: it was never looked at.
        """
        end, now = self._looks[-1]
        minute = next(values for seconds, values in self._looks if seconds >= end - _MINUTE_S)
        answered, refused, failed = _outcomes(now)
        done, not_done = (
            int(now.get(f"reswork_reloads_total{{result={result}}}", 0)) for result in ("done", "refused")
        )
        drift = {
            name: (
                now.get(f"reswork_drift{{of={name}}}", np.nan),
                now.get(f"reswork_drift_by_chance{{of={name}}}", np.nan),
            )
            for name in _TRAITS
        }
        return ServerState(
            version=self.server.version,
            uptime_s=now.get("reswork_uptime_seconds", np.nan),
            requests=int(answered + refused + failed),
            answers=int(now.get("reswork_answers_total", 0)),
            refused=int(refused),
            failed=int(failed),
            p95_ms=1e3 * _quantile(0.95, minute if minute is not now else {}, now),
            restarts=int(now.get("reswork_engine_restarts_total", 0)),
            deployed=1 + done,
            tried=1 + done + not_done,
            error=now.get("reswork_test_error{version=now}", np.nan),
            error_before=now.get("reswork_test_error{version=before}", np.nan),
            drift=drift,
        )


def _outcomes(metrics: Mapping[str, float]) -> np.ndarray:
    """(3,) requests that were answered, refused and not answered, so far."""
    found = np.zeros(3)
    for name, value in metrics.items():
        if match := _STATUS.fullmatch(name):
            found[{2: 0, 4: 1}.get(int(match[1]) // 100, 2)] += value
    return found


def _quantile(q: float, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Seconds, of the requests between two looks."""
    counts = {
        float(match[1]): after[name] - before.get(name, 0.0)
        for name in after
        if (match := _BUCKET.fullmatch(name))
    }
    bounds = sorted(counts)
    return bucket_quantile(q, np.array(bounds), np.array([counts[each] for each in bounds]))
