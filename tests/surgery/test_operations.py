"""The list: undo is exact, order counts, and what is saved opens with the same answers."""

import json

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from reswork import Recipe, open_checkpoint, probes, train
from reswork.errors import InvalidSetting
from reswork.models.network import ResNet, resnet
from reswork.surgery import Delete, Freeze, Operations, Reestimate, Reset, Scale, Shuffle, Swap, operated
from tests.surgery.networks import lively

IMAGES = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def net() -> ResNet:
    torch.manual_seed(0)
    return lively(
        resnet(depth=None, form="cifar", stage_blocks=(3, 2), width=4, in_channels=1, num_classes=2)
    )


def _note(gates: list) -> str:
    return json.dumps({"format": 1, "sentences": [], "operations": [], "gates": gates, "config": None})


def answers(model: nn.Module, images: torch.Tensor = IMAGES) -> torch.Tensor:
    with torch.no_grad():
        return model(images)


def test_undo_is_equal_to_the_last_bit_and_redo_does_it_again(net: ResNet, tiny_data) -> None:
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    operations = Operations(net, tiny_data)
    for one in (
        Delete("layer1.1"),
        Swap("layer1.0", "layer1.2"),
        Reset("layer2.1"),
        Reestimate(32),
        Shuffle("fc"),
    ):
        operations.append(one)
    changed = answers(operations.model())
    assert not torch.allclose(changed, answers(net))
    while operations.can_undo:
        operations.undo()
    assert torch.equal(answers(operations.model()), answers(net)) and not operations.can_undo
    while operations.can_redo:
        operations.redo()
    assert torch.equal(answers(operations.model()), changed)
    for index in range(len(operations)):
        operations.switch(index, False)
    assert torch.equal(answers(operations.model()), answers(net))
    assert all(torch.equal(net.state_dict()[name], value) for name, value in weights.items())


def test_order_counts_and_lines_are_switched_moved_and_removed(net: ResNet, tiny_data) -> None:
    operations = Operations(net, tiny_data)
    operations.append(Reestimate(32))
    operations.append(Scale("layer1.0", 3.0))
    first = answers(operations.model())
    operations.move(1, 0)
    assert operations.sentences[0] == "layer1.0 times 3"
    assert not torch.allclose(answers(operations.model()), first)
    operations.undo()
    assert torch.equal(answers(operations.model()), first)
    operations.switch(0, False)
    assert [entry.on for entry in operations.entries] == [False, True] and len(operations.active) == 1
    assert torch.equal(answers(operations.model()), answers(operated(net, [Scale("layer1.0", 3.0)])))
    operations.remove(1)
    assert torch.equal(answers(operations.model()), answers(net))
    with pytest.raises(InvalidSetting, match="no line 7"):
        operations.remove(7)


def test_a_change_that_cannot_be_done_leaves_the_list(net: ResNet, tiny_data) -> None:
    operations = Operations(net, tiny_data)
    operations.append(Delete("layer1.0"))
    for wrong in (
        Delete("nothing"),
        Swap("layer1.0", "layer2.0"),
        Scale("layer1.0.relu1", 2.0, channels=(4,)),
    ):
        with pytest.raises(InvalidSetting):
            operations.append(wrong)
    assert operations.sentences == ("branch of layer1.0 off",)
    other = Operations(net)
    other.read(operations.to_json())
    assert other.entries == operations.entries
    for text in ("[1]", "no", '{"kind": "delete"}', '[{"kind": "delete", "name": "nothing"}]'):
        with pytest.raises(InvalidSetting):
            other.read(text)


def test_what_is_saved_opens_with_the_same_answers_and_tells(net: ResNet, tiny_data, tmp_path) -> None:
    operations = Operations(net, tiny_data)
    for one in (
        Delete("layer1.1"), Delete("layer1.2", "shortcut"), Shuffle("layer2.1"), Shuffle("conv1"), Reestimate(32),
        Shuffle("layer2.0.conv1", channels=(0, 2)), Shuffle("layer1.0", channels=(1, 3)),
        Scale("fc", 0, channels=(1,)),
    ):  # fmt: skip
        operations.append(one)
    path = operations.save(tmp_path / "operated.safetensors")
    opened = open_checkpoint(path)
    assert torch.equal(answers(opened.model), answers(operations.model()))
    assert opened.operations == operations.sentences and "shortcut of layer1.2 off" in opened.sentence
    assert opened.config == net.config and not opened.assumptions
    further = Operations(opened)
    further.append(Swap("layer1.0", "layer1.2"))
    again = open_checkpoint(further.save(tmp_path / "again.safetensors"))
    assert torch.equal(answers(again.model), answers(further.model()))
    assert again.operations == (*operations.sentences, "layer1.0 and layer1.2 swapped")
    with pytest.raises(InvalidSetting, match="safetensors"):
        operations.save(tmp_path / "operated.pt")


def test_what_was_switched_off_is_drawn_so_when_the_file_is_opened_again(net: ResNet, tmp_path) -> None:
    operations = Operations(net)
    operations.append(Delete("layer1.1"))
    operations.append(Delete("layer1.2", "shortcut"))
    opened = open_checkpoint(operations.save(tmp_path / "operated.safetensors"))
    for model in (operations.model(), opened.model):
        drawn = {each.name: each for each in probes.outline(model, IMAGES).blocks}
        assert [name for name, each in drawn.items() if not each.branch] == ["layer1.1"]
        assert drawn["layer1.2"].shortcut == "none" and drawn["layer1.1"].shortcut == "identity"
    with torch.no_grad():
        opened.model.layer1[1].bn2.weight.fill_(0.1)  # as if it had learned
    assert all(each.branch for each in probes.outline(opened.model, IMAGES).blocks)
    begun = resnet(depth=8, in_channels=1, zero_init_last_norm=True)  # zeros that nobody switched off
    assert all(each.branch for each in probes.outline(begun, IMAGES).blocks)


def test_a_deleted_branch_is_in_the_weights_alone(tmp_path) -> None:
    """Whoever loads the file into the plain network has it, without knowing of operations."""
    torch.manual_seed(0)
    block = torchvision.models.resnet.BasicBlock
    net = lively(torchvision.models.ResNet(block, [2, 1, 1, 1], num_classes=5))
    operations, images = Operations(net), torch.randn(2, 3, 32, 32)
    operations.append(Delete("layer1.1"))
    operations.append(Delete("layer2.0", "shortcut"))
    path = operations.save(tmp_path / "operated.safetensors")
    plain = torchvision.models.ResNet(block, [2, 1, 1, 1], num_classes=5).eval()
    plain.load_state_dict(load_file(path))
    assert torch.equal(answers(plain, images), answers(operations.model(), images))
    operations.append(Delete("layer1.0", "shortcut"))
    opened = open_checkpoint(
        operations.save(path), model=torchvision.models.ResNet(block, [2, 1, 1, 1], num_classes=5)
    )
    assert torch.equal(answers(opened.model, images), answers(operations.model(), images))


def test_a_frozen_block_does_not_learn_and_a_deleted_one_stays_deleted(
    net: ResNet, tiny_data, tmp_path
) -> None:
    operations = Operations(net, tiny_data)
    operations.append(Freeze("layer1.0"))
    operations.append(Delete("layer1.1"))
    assert operations.frozen == ("layer1.0",)
    model = operations.model()
    recipe = Recipe(
        steps=2, batch_size=8, learning_rate=0.1, frozen=operations.frozen, device="cpu", compile="off"
    )
    run = train(model, tiny_data, recipe, directory=tmp_path / "run", recorders=[])
    run.wait()
    assert torch.equal(model.layer1[0].conv1.weight, net.layer1[0].conv1.weight)
    assert not torch.equal(model.layer2[0].conv1.weight, net.layer2[0].conv1.weight)
    assert not model.layer1[1].bn2(torch.randn(2, 4, 8, 8)).any()
    assert (
        '"config": null' in (tmp_path / "run" / "run.json").read_text()
    )  # settings alone would not make it again


def test_a_run_knows_its_initial_weights(net: ResNet, tiny_data, tmp_path) -> None:
    first = net.layer2[0].conv1.weight.detach().clone()
    recipe = Recipe(steps=2, batch_size=8, learning_rate=0.1, device="cpu", compile="off")
    run = train(net, tiny_data, recipe, directory=tmp_path / "run", recorders=[])
    run.wait()
    assert not torch.equal(net.layer2[0].conv1.weight, first)
    operations = Operations(run)
    operations.append(Reset("layer2.0"))
    assert torch.equal(operations.model().layer2[0].conv1.weight, first)


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("no json", "damaged"),
        ("[]", "damaged"),
        ('{"format": 7}', "another version"),
        ('{"format": 1, "sentences": 3, "operations": [], "gates": [], "config": null}', "damaged"),
        (_note([{"layer": "layer9.bn2", "passage": False, "gates": [{"factor": 0}]}]), "do not fit"),
        (_note([{"layer": "bn1", "passage": False, "gates": [{"factor": "x"}]}]), "no finite number"),
        (_note([{"layer": "bn1", "passage": False, "gates": [{"run": "code"}]}]), "describes no change"),
        (_note([{"layer": "layer1.0.__class__", "passage": True, "gates": []}]), "do not fit"),
        (_note(["bn1"]), "do not fit"),
    ],
)
def test_a_file_with_damaged_operations_is_refused_in_one_sentence(
    net: ResNet, tmp_path, note: str, words: str
) -> None:
    path = tmp_path / "damaged.safetensors"
    save_file(net.state_dict(), path, {"format": "pt", "reswork.operated": note})
    with pytest.raises(InvalidSetting, match=words):
        open_checkpoint(path)
