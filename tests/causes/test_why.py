import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import reswork as rw
from reswork.causes import why
from reswork.causes.contents import contents, paragraph_html
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.reporting.answers import Stopped
from tests.causes.conftest import PATCH, PLACE


def test_a_planted_patch_is_pointed_at(planted):
    answer = planted.answer()
    assert answer.wrong and answer.predicted == 0 and answer.other == 1 and answer.margin < 0
    patch = planted.flips()[0]
    (top, left), side = patch.place, int(patch.amount)
    middle = (PLACE[0] + PATCH / 2, PLACE[1] + PATCH / 2)
    assert patch.found and patch.answer == 1 and side <= 6
    assert top <= middle[0] <= top + side and left <= middle[1] <= left + side
    where = np.zeros((3, 16, 16), bool)
    where[:, PLACE[0] : PLACE[0] + PATCH, PLACE[1] : PLACE[1] + PATCH] = True
    ((maps, trust),) = planted.maps()
    assert maps.mass_inside(where)[2] > 4 * where.mean() and len(trust) == len(maps) == 3
    text = planted.paragraph
    assert text.startswith("The answer is <b>along</b>")
    assert (
        f"{side}x{side} pixels" in text
        and f"at row {top}, column {left}" in text
        and "makes it across" in text
    )
    assert "of what speaks for it lies in the patch that turns the answer" in text


def test_its_neighbours_carry_the_patch_and_its_look_alike_does_not(planted, planted_data):
    found = planted.neighbours()
    assert found.votes[-1].argmax() == 0 and found.accuracy[-1] > 0.9 and found.believed[-1]
    alike = planted.look_alike()
    assert planted_data.train.labels[alike.image] == 1 == alike.label and alike.parted is not None


def test_the_model_is_as_it_was_to_the_last_bit(planted_model, planted_data):
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    wanted, before = planted_model(images), {k: v.clone() for k, v in planted_model.state_dict().items()}
    planted_model.train()
    try:
        seed = torch.get_rng_state()
        found = why(planted_model, planted_data, 3, methods=("grad_cam",), training_images=60)
        assert len(list(found.fill())) == 6
        assert planted_model.training and torch.equal(seed, torch.get_rng_state())
    finally:
        planted_model.eval()
    assert all(torch.equal(before[k], v) for k, v in planted_model.state_dict().items())
    assert not any(
        m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in planted_model.modules()
    )
    assert torch.equal(planted_model(images), wanted)


def test_each_look_says_what_it_costs_and_stop_ends_it(planted_model, planted_data):
    found = why(planted_model, planted_data, 0, training_images=60)
    plan = {each.name: each for each in found.plan()}
    assert all(each.seconds > 0 and not each.done and not each.missing for each in plan.values())
    assert plan["maps"].seconds > plan["look_alike"].seconds
    walk = found.fill(["neighbours", "turning"])
    assert next(walk) == "neighbours"
    found.stop()
    assert list(walk) == [] and [each.name for each in found.plan() if each.done] == ["neighbours"]
    with pytest.raises(Stopped):
        found.turning()
    assert list(found.fill(["turning"])) == ["turning"] and "neighbours" in repr(found)
    last = found.remarks()[-1]
    assert (
        last.strength == "cannot say"
        and "Not looked at yet: where in the image it looked; which parts" in last.sentence
    )


def test_a_right_answer_is_compared_with_the_second_best(planted_model, planted_data):
    answer = why(planted_model, planted_data, 2).answer()
    assert answer.label == answer.predicted and not answer.wrong and answer.other == answer.best[1]
    assert answer.margin <= 0


def test_pictures_of_ones_own(planted_model, planted_data, tmp_path):
    pixels = planted_data.test.images[0].numpy()
    own = why(planted_model, planted_data, pixels)
    assert own.answer().label is None and own.case.index is None
    np.testing.assert_allclose(own.case.logits, why(planted_model, planted_data, 0).case.logits, atol=1e-5)
    assert why(planted_model, planted_data, pixels, label="across").answer().wrong
    path = tmp_path / "own.png"
    torchvision.io.write_png(torch.from_numpy(pixels), str(path))
    for picture in (path, str(path), path.read_bytes()):
        assert np.array_equal(why(planted_model, planted_data, picture, label=1).case.image, pixels)


def test_an_image_is_no_neighbour_of_itself(planted_model, planted_data):
    found = why(planted_model, planted_data, 5, "train", training_images=239)
    assert 5 not in found.neighbours().images and 5 not in found.case.of_class(
        int(planted_data.train.labels[5])
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image": 31}, "image=31: the test split has 31 images; choose 0 to 30"),
        ({"image": -1}, "image=-1: the test split has 31 images"),
        ({"image": True}, "give an index of the test split"),
        (
            {"image": np.zeros((3, 8, 8), np.uint8)},
            r"give an index of the test split, a path, .* \(3, 16, 16\)",
        ),
        ({"image": np.zeros((3, 16, 16), np.float32)}, "type float32"),
        ({"image": "nowhere.png"}, "nowhere.png cannot be read"),
        ({"split": "valid"}, "split='valid' is not a split"),
        ({"label": 1}, "image 0 has its label in the data"),
        ({"image": np.zeros((3, 16, 16), np.uint8), "label": "dog"}, "label='dog' is no class of striped"),
        ({"image": np.zeros((3, 16, 16), np.uint8), "label": 3}, "label=3 is no class of striped"),
        ({"methods": ("magic",)}, "'magic' is no method"),
        ({"training_images": 2}, "training_images=2: choose at least 10"),
        ({"model": 3}, "model is a int"),
        ({"data": 3}, "data is a int"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Linear(768, 5))},
            "gives 5 numbers for an image, and striped has 3",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(planted_model, planted_data, change, told):
    given = {"model": planted_model, "data": planted_data, "image": 0} | change
    with pytest.raises(InvalidSetting, match=told):
        why(**given)


def test_masks_and_broken_answers_are_told(planted_model, planted_data):
    splits = [
        Split(split.images, torch.zeros(len(split), 16, 16, dtype=torch.uint8))
        for split in (planted_data.train, planted_data.test)
    ]
    masks = Dataset("masks", *splits, classes=("a", "b"), mean=(0.5,) * 3, std=(0.2,) * 3, source="made up")
    with pytest.raises(InvalidSetting, match="only answers that are one class an image"):
        why(planted_model, masks, 0)
    broken = nn.Sequential(nn.Flatten(), nn.Linear(768, 3))
    nn.init.constant_(broken[1].weight, float("nan"))
    with pytest.raises(InvalidSetting, match="NaN or infinite"):
        why(broken, planted_data, 0)


def test_what_only_computing_shows_is_told_and_the_rest_goes_on(planted_data):
    torch.manual_seed(1)
    model = rw.resnet(depth=8, width=4, num_classes=3)
    nn.init.zeros_(model.fc.weight)
    nn.init.constant_(model.fc.bias[0], 9.0)  # all images are of class 0
    found = why(model, planted_data, 0, training_images=40)
    assert list(found.fill(["look_alike", "neighbours"])) == ["neighbours"]
    lacks = next(each.missing for each in found.plan() if each.name == "look_alike")
    assert "0 of 80 training images of across are answered rightly" in lacks and any(
        lacks in remark.sentence for remark in found.remarks()
    )
    with pytest.raises(InvalidSetting, match="are answered rightly"):
        found.look_alike()


def test_names_are_escaped_wherever_they_are_shown(planted):
    told = paragraph_html(planted)
    assert "<b>along" not in told and "&lt;b&gt;along" in told
    for name in ("answer", *(each.name for each in planted.plan())):
        shown = list(contents(planted, name))
        assert shown, name
        for each in shown:
            drawn = [each] if isinstance(each, str) else [figure.to_dict() for figure in each.values()]
            for one in drawn:
                if isinstance(one, dict):
                    one["layout"].pop("meta")  # plain text
                assert "<b>along" not in str(one)


class Plain(nn.Module):
    """No blocks, and an answer in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 1, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return {"logits": self.head(self.conv2(self.conv1(x).relu()).relu().mean((2, 3)))}


def foreign(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "resnet":
        return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=3)
    return (
        Plain()
        if name == "plain"
        else torchvision.models.VisionTransformer(16, 4, 2, 2, 12, 24, num_classes=3)
    )


@pytest.mark.parametrize("name", ["resnet", "plain", "vit"])
def test_foreign_networks(planted_data, name):
    found = why(foreign(name), planted_data, 0, training_images=30)
    looks = ["neighbours", "turning", "carriers"]
    assert list(found.fill(looks)) == looks
    turning, carriers = found.turning(), found.carriers()
    assert np.isfinite(turning.probe_margin).all()
    if name == "resnet":
        assert turning.blocks == ("layer1.0", "layer2.0", "layer3.0", "layer4.0")
        assert np.isfinite(turning.head_margin).all() and len(carriers.rows("shortcut")) == 4
    elif name == "vit":
        assert np.isfinite(turning.head_margin).all() and len(carriers.rows("block")) == 2
    else:
        assert carriers.fixed == ("conv1", "head") and len(carriers.rows("block")) == 1
        assert np.isnan(turning.head_margin[:-1]).all()
    sentences = " ".join(remark.sentence for remark in found.remarks())
    assert ("No shortcut can be taken out" in sentences) == (name != "resnet")


def test_of_a_run_a_snapshot_is_looked_at(planted_data, tmp_path):
    recipe = rw.Recipe(steps=2, batch_size=8)
    run = rw.train(
        rw.resnet(depth=8, width=4, num_classes=3), planted_data, recipe, directory=tmp_path / "run"
    )
    run.wait()
    for given in (run, run.model, rw.load_run(tmp_path / "run")):
        assert why(given, planted_data, 0).answer().best.shape == (3,)
