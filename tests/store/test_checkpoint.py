"""Foreign files of weights: opened where they can be, refused with one sentence where not."""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from reswork.datasets.augmentation import normalise
from reswork.errors import InvalidSetting
from reswork.models.network import ResNet, resnet
from reswork.store.checkpoint import open_checkpoint
from reswork.store.foreign_weights import entries_in
from reswork.store.weight_sets import weight_sets
from reswork.tasks import Classification
from reswork.training.events import RunEnded, RunStarted
from reswork.training.live_run import RunState
from reswork.training.modes import Mode
from reswork.training.progress import TrainingState
from tests.places import PRETRAINED, SHARED


def published(file: str) -> Path:
    if not (PRETRAINED / file).exists():
        pytest.skip(f"no {file} beside the checkout")
    return PRETRAINED / file


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "depth", "known"),
    [
        ("resnet20-12fca82f.th", 20, "resnet20_train_lossless_first4000"),
        ("resnet32-d509ac18.th", 32, "resnet32_train_lossless_first1000"),
    ],
)
def test_published_checkpoints_open(file: str, depth: int, known: str) -> None:
    """akamaster's ResNets: logits as computed independently in numpy; how many are right is in test_published."""
    found = open_checkpoint(published(file))
    assert isinstance(found.model, ResNet) and not found.model.training
    assert found.config is not None and found.config.label == f"ResNet-{depth}"
    assert found.entries["best_prec1"] == pytest.approx({20: 91.78, 32: 92.78}[depth])
    assert "counters were missing" in found.sentence and "type A" in found.sentence
    with np.load(SHARED / "cifar10" / "first4000_lossless.npz") as images_file:
        images = images_file["images"]
    with np.load(PRETRAINED / "numpy_logits.npz") as logits_file:
        logits = logits_file[known][:1000]
    planes = torch.from_numpy(images[: len(logits)]).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        scaled = normalise(planes, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        ours = torch.cat([found.model(part) for part in scaled.split(500)]).numpy()
    assert np.abs(ours - logits).max() < 1e-3


def same(model: Any, state: dict[str, Tensor]) -> bool:
    mine = model.state_dict()
    return all(torch.equal(mine[name], value) for name, value in state.items())


@pytest.mark.parametrize("ending", ["pt", "pth", "safetensors"])
def test_torchvisions_weights_open(tmp_path: Path, ending: str) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=7).eval()
    path = tmp_path / f"net.{ending}"
    (save_file if ending == "safetensors" else torch.save)(theirs.state_dict(), path)
    found = open_checkpoint(path)
    assert found.config is not None and (found.config.label, found.config.num_classes) == ("ResNet-18", 7)
    assert (
        same(found.model, theirs.state_dict())
        and "all 122 tensors fit." in found.sentence
        and not found.set_aside
    )
    images = torch.randn(2, 3, 64, 64)
    assert found.model is not None
    with torch.no_grad():
        assert torch.equal(found.model(images), theirs(images))


@pytest.mark.parametrize(
    "nest",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 7},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {"a": {"b": {"module._orig_mod." + name: value for name, value in state.items()}}},
        lambda state: {
            "net": state,
            "optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": []},
        },
        lambda state: {name.replace("fc.", "linear."): value for name, value in state.items()},
        lambda state: {name.replace("downsample.", "shortcut."): value for name, value in state.items()},
    ],
)
def test_nesting_prefixes_and_other_names(tmp_path: Path, nest: Any) -> None:
    state = resnet(depth=8, width=4, shortcut="B").state_dict()
    torch.save(nest(state), tmp_path / "net.pt")
    found = open_checkpoint(str(tmp_path / "net.pt"))
    assert found.config is not None and found.config.depth == 8 and found.config.width == 4
    assert same(found.model, state)
    assert all(not name.startswith(("module.", "_orig_mod.")) for name in found.weights)


def test_half_precision_weights_become_a_network_that_runs(tmp_path: Path) -> None:
    torch.save(resnet(depth=8).half().state_dict(), tmp_path / "net.pt")
    model = open_checkpoint(tmp_path / "net.pt").model
    assert model is not None and model(torch.randn(1, 3, 32, 32)).dtype == torch.float32


def test_a_run_opens_too(made_writer: Any) -> None:
    writer, _ = made_writer()
    network = resnet(depth=8, width=2, in_channels=1, num_classes=2)
    writer(
        RunStarted(
            0, network, 1, 1, "cpu", "as it comes", Mode("cpu"), Classification(), lambda: TrainingState(0)
        )
    )
    writer(RunEnded(1, RunState.FINISHED, None))
    found = open_checkpoint(writer.directory)
    assert same(found.model, network.state_dict())
    assert "from run 'made'" in found.sentence
    with pytest.raises(InvalidSetting, match="cannot be read"):
        open_checkpoint(writer.directory.parent)


def test_other_networks_come_back_as_weights(tmp_path: Path) -> None:
    theirs = torchvision.models.mobilenet_v3_small(num_classes=3)
    torch.save({"state_dict": theirs.state_dict(), "epoch": 3}, tmp_path / "net.pt")
    found = open_checkpoint(tmp_path / "net.pt")
    assert found.model is None and found.config is None and found.entries == {"epoch": 3}
    theirs.load_state_dict(found.weights)
    assert "not those of a ResNet" in found.sentence and "'conv1.weight'" in found.sentence
    torch.save({**resnet().state_dict(), "more": torch.zeros(1)}, tmp_path / "net.pt")
    found = open_checkpoint(tmp_path / "net.pt")
    assert found.model is not None and found.set_aside == {"unknown layers beside it": ("more",)}
    assert "1 tensors were set aside (unknown layers beside it: 'more')" in found.sentence


def test_too_large(tmp_path: Path) -> None:
    torch.save(resnet().state_dict(), tmp_path / "net.pt")
    with pytest.raises(InvalidSetting, match="more than the limit of 1,000; raise most_bytes"):
        open_checkpoint(tmp_path / "net.pt", most_bytes=1000)


def test_small_files_cannot_claim_huge_networks(tmp_path: Path) -> None:
    state = resnet(depth=8).state_dict()
    state["fc.weight"], state["fc.bias"] = torch.zeros(1, 1).expand(10**9, 64), torch.zeros(1).expand(10**9)
    torch.save(state, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").stat().st_size < 1_000_000
    assert open_checkpoint(tmp_path / "net.pt").model is None


def test_archives_that_unpack_to_much_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1_000_000)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "net.pt", "w", 8) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    assert (tmp_path / "net.pt").stat().st_size < 100_000
    with pytest.raises(InvalidSetting, match="would unpack to 4,"):
        open_checkpoint(tmp_path / "net.pt", most_bytes=1_000_000)


class Runs:
    """A pickle that makes a file when it is opened without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch", "legacy", "pickle"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    content = {"state_dict": resnet(depth=8).state_dict(), "more": Runs(tmp_path / "made")}
    path = tmp_path / "net.pt"
    if how == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(InvalidSetting, match=r"would run code|no checkpoint"):
        open_checkpoint(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("net", [resnet(depth=8), torchvision.models.resnet18(num_classes=4)])
def test_a_whole_model_in_a_file_is_read_without_being_made(tmp_path: Path, net: Any) -> None:
    """Its modules become stand-ins that hold the tensors; what the class would do when it is made is not done."""
    torch.save({"net": net.eval(), "epoch": 3}, tmp_path / "net.pt")
    found = open_checkpoint(tmp_path / "net.pt")
    assert same(found.model, net.state_dict()) and any("nn.modules" in each for each in found.stand_ins)


@pytest.mark.parametrize("ending", ["pt", "th", "safetensors"])
@pytest.mark.parametrize("keep", [0, 1, 9, 100, 0.5, 0.99])
def test_truncated_files(tmp_path: Path, ending: str, keep: float) -> None:
    state = resnet(depth=8).state_dict()
    buffer = io.BytesIO()
    path = tmp_path / f"net.{ending}"
    if ending == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, buffer, _use_new_zipfile_serialization=ending == "pt")
        path.write_bytes(buffer.getvalue())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(InvalidSetting, match=r"no checkpoint|holds more than tensors"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b"hello, I am a text\n", b"\x89PNG\r\n\x1a\n" + bytes(100), b"PK\x03\x04" + bytes(50)]
)
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(InvalidSetting, match="no checkpoint"):
        open_checkpoint(tmp_path / "net.pt")


@pytest.mark.parametrize(("content", "told"), [([1, 2], "a list"), ({"epoch": 3}, "a dict with 'epoch'")])
def test_no_weights_in_it(tmp_path: Path, content: Any, told: str) -> None:
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(InvalidSetting, match=f"no weights in it, but {told}"):
        open_checkpoint(tmp_path / "net.pt")


def test_no_file_and_no_regular_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="there is no file"):
        open_checkpoint(tmp_path / "net.pt")
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(InvalidSetting, match="not a regular file"):
        open_checkpoint(tmp_path / "pipe.pt")


def test_entries_and_weights_of_odd_contents() -> None:
    assert entries_in([1]) == {} and weight_sets(3) == ()
    assert entries_in({"a": 1, "b": torch.tensor(2.5), "c": [1]}) == {"a": 1, "b": 2.5}
