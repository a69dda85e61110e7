"""Published weights: taken where they lie, fetched only when asked, and a sentence where that cannot be."""

import sys
import types
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision

from reswork.errors import InvalidSetting
from reswork.models.network import ResNet
from reswork.transfer import adopt, open_source
from tests.transfer.conftest import drawn


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of weights; whoever fetches finds no internet."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def fetch(*_given: object, **_more: object) -> None:
        raise URLError("Temporary failure in name resolution")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    return tmp_path / "checkpoints"


def test_nothing_is_fetched_unless_it_is_asked_for(hub: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"not on this machine \(45 MB.*download=True fetches") as caught:
        open_source("torchvision/resnet18")
    assert caught.value.field == "download"
    with pytest.raises(
        InvalidSetting, match=r"could not be fetched.*name resolution.*without internet give a file"
    ):
        open_source("torchvision/resnet18", download=True)
    with pytest.raises(
        InvalidSetting, match="no weights 'V9' of resnet50; choose IMAGENET1K_V1, IMAGENET1K_V2"
    ):
        open_source("torchvision/resnet50/V9")


def test_what_lies_there_is_used_and_is_built_here(hub: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(weights=None).eval()
    hub.mkdir()
    name = torchvision.models.ResNet18_Weights.DEFAULT.url.rsplit("/", 1)[-1]
    torch.save(theirs.state_dict(), hub / name)
    found = open_source("torchvision/resnet18")
    assert isinstance(found.model, ResNet) and len(found.classes) == 1000 and found.kind == "torchvision"
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(found.model(images), theirs(images), rtol=1e-4, atol=1e-5)
    adopted = adopt(found, drawn(("one", "two"), channels=3, size=32))
    assert adopted.new == ("fc.weight", "fc.bias")


def test_timm_is_asked_by_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InvalidSetting, match="timm is not installed; install it"):
        open_source("timm/resnet18.a1_in1k", download=True)
    made = torchvision.models.resnet18(weights=None).eval()
    made.maxpool = torch.nn.AvgPool2d(3, stride=2, padding=1)  # what no tensor tells

    def create_model(name: str, pretrained: bool) -> torch.nn.Module:
        if name.startswith("resnet18"):
            return made
        raise OSError("we couldn't connect")

    timm = types.SimpleNamespace(
        create_model=create_model,
        is_model=lambda name: name.startswith("resnet"),
        list_models=lambda _pattern: ["resnet18", "resnet34"],
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    with pytest.raises(InvalidSetting, match="timm has no network 'vgg'; choose resnet18"):
        open_source("timm/vgg", download=True)
    with pytest.raises(InvalidSetting, match="download=True lets it fetch"):
        open_source("timm/resnet18")
    with pytest.raises(InvalidSetting, match="could not be fetched \\(we couldn't connect\\)"):
        open_source("timm/resnet34", download=True)
    assert (
        open_source("timm/resnet18.a1_in1k", download=True).model is made
    )  # as it answers otherwise than ours
    made.maxpool = torch.nn.MaxPool2d(3, stride=2, padding=1)
    assert isinstance(open_source("timm/resnet18.a1_in1k", download=True).model, ResNet)
