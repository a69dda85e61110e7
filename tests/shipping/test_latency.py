import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from scipy.stats import binomtest, lognorm
from torch import nn

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks
from reswork.results.latency import CallTimes
from reswork.shipping import engines
from reswork.shipping.engines import Engine
from reswork.shipping.timing_worker import _calls, _under_load


def test_intervals_hold_the_true_quantile_as_often_as_they_say() -> None:
    rng, held = np.random.default_rng(0), {0.5: 0, 0.95: 0}
    for _ in range(100):
        times = CallTimes("", 1, lognorm.rvs(0.5, size=150, random_state=rng))
        for q in held:
            found = times.quantile(q)
            held[q] += found.low <= lognorm.ppf(q, 0.5) <= found.high
    assert all(88 <= count <= 100 for count in held.values()), held  # 95 are expected, give or take 2.2
    assert np.isnan(
        CallTimes("", 1, np.arange(1.0, 21.0)).quantile(0.99).high
    )  # twenty calls say nothing of that


def test_late_answers_are_counted_with_wilsons_interval() -> None:
    times = CallTimes("", 4, np.array([0.001] * 90 + [0.01] * 10))
    share, low, high = times.missed(0.005)
    expected = binomtest(10, 100).proportion_ci(0.95, method="wilson")
    assert share == 0.1 and (low, high) == pytest.approx((expected.low, expected.high))
    assert times.images_per_second == pytest.approx(400 / (90 * 0.001 + 10 * 0.01))


def test_waiting_counts_where_requests_come_faster_than_they_are_answered() -> None:
    def slow(inputs: np.ndarray) -> np.ndarray:
        time.sleep(0.01)
        return inputs

    engine, inputs = Engine("made", "1", 1, slow), np.zeros((1, 1), np.float32)
    alone = list(_calls(engine, inputs, 0.0, 5))
    assert len(alone) == 5 and min(alone) >= 0.01
    crowded = list(_under_load(engine, inputs, 1000.0, 0.02, np.random.default_rng(0)))
    assert len(crowded) == 20
    assert crowded[-1] > 0.01 * 20 - 0.1  # it waited for nineteen others, which came within about 20 ms


def test_files_and_networks_are_timed_each_in_a_process_of_its_own(
    onnx_folder: Path, torch_folder: Path, network: nn.Module
) -> None:
    flags = [module.training for module in network.modules()]
    found = rw.latency(
        {"file": onnx_folder, "program": torch_folder, "net": network}, (1, 8, 8), (1, 3), engines=("onnxruntime",),
        threads=1, seconds=0.02, deadline_ms=0.0001, rate=2000.0,
    )  # fmt: skip
    assert [(each.name, each.batch_size) for each in found.times] == [
        (name, size) for size in (1, 3) for name in ("file", "program", "net in onnxruntime")
    ]
    assert all(len(each.seconds) >= 20 and (each.seconds > 0).all() for each in found.times)
    assert [each.engine.split()[0] for each in found.engines] == ["onnxruntime", "torch", "onnxruntime"]
    for cost in found.engines:
        assert cost.threads == 1 and cost.file_bytes > 1000
        assert 0 < cost.import_s + cost.load_s + cost.first_s < cost.cold_start_s
    light, heavy = (each.memory_bytes for each in found.engines[:2])
    assert 10e6 < light < heavy  # without torch
    assert [each.rate for each in found.loads] == [2000.0] * 3 and len(found.loads[0].seconds) == 40
    assert found.of("file").missed(found.deadline_s or 0)[0] == 1.0
    text = str(found)
    assert "100.0% of answers take longer than 0.0001 ms" in text and "1 thread" in text and "1x8x8" in text
    assert found.blocks is not None
    names = [each.name for each in residual_blocks(network)]
    assert [row.name for row in found.blocks.layers if row.kind == "block"] == names
    table = rw.probes.layer_table(network, torch.zeros(1, 1, 8, 8), repeats=1)
    assert (found.blocks.macs, found.blocks.parameters) == (table.macs, table.parameters)
    assert [module.training for module in network.modules()] == flags
    assert not [
        child
        for child in psutil.Process().children(recursive=True)
        if "timing_worker" in " ".join(child.cmdline())
    ]
    with pytest.raises(KeyError, match="was not measured; there are 'file' with 1"):
        found.of("file", 2)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "the shape of an image is not known"),
        ({"input_shape": (1, 8)}, "is none of an image"),
        ({"input_shape": (3, 8, 8)}, r"cannot take images of shape \(3, 8, 8\)"),
        ({"input_shape": (1, 8, 8), "batch_sizes": (0,)}, "1 to 4096"),
        ({"input_shape": (1, 8, 8), "batch_sizes": ()}, "batch_sizes is empty"),
        ({"input_shape": (1, 8, 8), "engines": ("tensorrt",)}, "choose 'torch', 'onnxruntime'"),
        ({"input_shape": (1, 8, 8), "engines": ()}, "no engine was given"),
        ({"input_shape": (1, 8, 8), "threads": 0}, "threads=0"),
        ({"input_shape": (1, 8, 8), "seconds": 0}, "seconds=0"),
        ({"input_shape": (1, 8, 8), "rate": -1.0}, "rate=-1"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, object], told: str, network: nn.Module) -> None:
    with pytest.raises(InvalidSetting, match=told):
        rw.latency(network, **settings)


def test_a_file_that_cannot_take_the_shape_is_told(onnx_folder: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"model\.onnx could not be run here"):
        rw.latency(onnx_folder, (3, 9, 9), threads=1)


def test_an_engine_that_is_missing_is_named_with_its_extra(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda _name: None)
    with pytest.raises(InvalidSetting, match=r"pip install 'reswork\[onnx\]'"):
        rw.latency(network, (1, 8, 8), engines=("onnxruntime",))
