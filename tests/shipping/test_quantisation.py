import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import reswork as rw
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.shipping.quantisation import write_int8


@pytest.fixture(scope="module")
def int8_folder(network: nn.Module, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped") / "int8"
    rw.export(network, folder, data=data, precision="int8", calibration=40, examples=8)
    return folder


def test_weights_are_whole_numbers_and_the_file_says_how_much_its_answers_changed(
    int8_folder: Path, onnx_folder: Path, network: nn.Module, data: Dataset
) -> None:
    import onnx

    model = onnx.load(int8_folder / "model.onnx")
    kinds = {each.data_type for each in model.graph.initializer if len(each.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= {node.op_type for node in model.graph.node}
    inputs = rw.datasets.normalise(data.test.images, data.mean, data.std)
    with torch.no_grad():
        expected = network(inputs).numpy()
    made = rw.open_artefact(int8_folder)
    found = made.open(1)(inputs.numpy())
    assert 0 < np.abs(found - expected).max() < 0.3 * np.abs(expected).max()
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
    changed = float((found.argmax(1) != expected.argmax(1)).mean())
    sentence = made.facts["proof"]["sentence"]
    assert sentence.startswith(f"{changed:.2%} of the answers to 60 test images are others")
    labels = data.test.labels.numpy()
    accuracies = [(each.argmax(1) == labels).mean() for each in (found, expected)]
    assert f"accuracy {accuracies[0]:.1%} instead of {accuracies[1]:.1%}" in sentence
    assert made.facts["metrics"]["top1"] == pytest.approx(accuracies[0])
    assert "In single precision the file was equal to the network" in sentence and "8 bits" in sentence


def test_it_is_checked_by_what_it_said_itself(int8_folder: Path) -> None:
    found = rw.check_artefact(int8_folder)
    assert found.holds and found.proof is not None and found.proof.whose == "what it said itself"


def test_reports_of_artefacts_stand_beside_each_other(
    int8_folder: Path, onnx_folder: Path, data: Dataset
) -> None:
    small, large = (rw.open_artefact(folder) for folder in (int8_folder, onnx_folder))
    found = small.report(data).against(large.report(data))
    assert found.headline.before == pytest.approx(large.facts["metrics"]["top1"])
    assert found.headline.after == pytest.approx(small.facts["metrics"]["top1"])
    with pytest.raises(InvalidSetting, match="other classes, targets or sizes"):
        small.report(rw.datasets.fashion().subset(20, 20))


def test_wrong_settings_are_told_and_leave_nothing(network: nn.Module, data: Dataset, tmp_path: Path) -> None:
    for settings, told in (
        ({"precision": "int8", "format": "torch"}, "'int8' with format='onnx'"),
        ({"precision": "int4"}, "choose 'fp32'"),
    ):
        with pytest.raises(InvalidSetting, match=told):
            rw.export(network, tmp_path / "out", data=data, **settings)
    with pytest.raises(InvalidSetting, match="give 2 or more"):
        write_int8(tmp_path / "a", tmp_path / "b", np.zeros((1, 1, 8, 8), np.float32), np.zeros((1, 10)))
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_16_bits_take_half_and_are_told_as_not_equal(network, data, tmp_path) -> None:
    half = rw.export(network, tmp_path / "half", data=data, format="torch", precision="bf16")
    weights = torch.export.load(half.path).state_dict
    assert {each.dtype for each in weights.values() if each.is_floating_point()} == {torch.bfloat16}
    assert (
        "numbers of 16 bits (bf16)" in half.facts["told"]
        and "In single precision" in half.facts["proof"]["sentence"]
    )
    assert rw.check_artefact(tmp_path / "half").holds
    inputs = half.inputs(data.test.images.numpy())
    with torch.no_grad():
        wanted = copy.deepcopy(network).bfloat16()(torch.from_numpy(inputs).bfloat16()).float().numpy()
    np.testing.assert_allclose(half.open()(inputs), wanted, atol=0.05)
    with pytest.raises(rw.InvalidSetting, match="'bf16' with format='torch'"):
        rw.export(network, tmp_path / "other", data=data, precision="bf16")
