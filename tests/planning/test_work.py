import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import reswork as rw
from reswork.models.sheet import spec_sheet
from reswork.planning.prices import prices
from reswork.planning.work import (
    Work,
    fitted,
    gpu_seconds,
    law,
    left_out_errors,
    relative_seconds,
    step_work,
    training_bytes,
)


def test_operations_of_a_step_are_those_that_torch_counts() -> None:
    config, recipe = rw.ResNetConfig(depth=8, width=4, in_channels=1), rw.Recipe(batch_size=4)
    net = rw.resnet(config)
    with FlopCounterMode(display=False) as counter:
        net(torch.randn(4, 1, 8, 8)).sum().backward()
    told = step_work(spec_sheet(config, (1, 8, 8)), recipe, 100).operations
    assert told == pytest.approx(counter.get_total_flops(), rel=0.05)  # torch leaves the first gradient out


def test_memory_counts_weights_gradients_optimizer_and_what_the_backward_pass_needs() -> None:
    sheet = spec_sheet(rw.ResNetConfig(depth=8), (3, 32, 32))
    adam = rw.Recipe(optimizer="adamw", learning_rate=0.001, batch_size=8)
    assert training_bytes(sheet, adam, 100) == 16 * sheet.parameters + 8 * sheet.activation_bytes
    plain = rw.Recipe(momentum=0.0, batch_size=8, accumulate=2)
    assert training_bytes(sheet, plain, 100) == 8 * sheet.parameters + 4 * sheet.activation_bytes


def test_the_fit_finds_the_weights_that_made_the_times() -> None:
    generator = np.random.default_rng(0)
    works = [Work(*(generator.uniform(1e8, 1e10, 2)), int(generator.integers(10, 200))) for _ in range(12)]
    truth = np.array([0.02, 0.05, 0.3])
    seconds = [float(truth @ np.array(each.terms)) for each in works]
    np.testing.assert_allclose(fitted(works, seconds), truth, rtol=1e-6)
    assert left_out_errors(works, seconds).max() < 1e-6
    seconds[3] *= 2
    assert left_out_errors(works, seconds)[3] == pytest.approx(0.5, abs=0.05)


def test_the_law_in_the_package_was_fitted_to_the_steps_beside_it() -> None:
    kept = law()
    works = [
        Work(1e9 * terms[0], 1e9 * terms[1], round(1e3 * terms[2]))
        for terms in (each["terms"] for each in kept["steps"])
    ]
    seconds = [each["seconds"] for each in kept["steps"]]
    np.testing.assert_allclose(fitted(works, seconds), kept["weights"], rtol=0.02, atol=1e-4)
    assert kept["networks"] == len(works) >= 20
    assert np.median(left_out_errors(works, seconds)) == pytest.approx(kept["median_error"], abs=0.02)
    assert relative_seconds(works[0], works[0]) == 1


def test_a_gpu_is_between_its_best_and_its_worst_and_none_beats_its_data_sheet() -> None:
    work = step_work(
        spec_sheet(rw.ResNetConfig(depth=50, form="imagenet"), (3, 224, 224)), rw.Recipe(), 10_000
    )
    for machine in prices().machines:
        if machine.kind == "gpu":
            middle, low, high = gpu_seconds(work, machine)
            assert low < middle < high
            assert low > work.operations / (1e12 * (machine.tera_operations_16 or math.inf))
