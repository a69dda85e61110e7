"""A U-Net explained by methods that know nothing of masks."""

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.tasks import Classification, Segmentation, explained_model


@pytest.fixture(scope="module")
def net() -> rw.ResNet:
    torch.manual_seed(4)
    return rw.unet(depth=8, width=8, num_classes=4).eval()


def test_the_gradient_is_that_of_the_mean_logit_in_the_mask(net) -> None:
    image = torch.rand(1, 3, 16, 16)
    model = explained_model(net, Segmentation(), image)
    label = int(net(image).argmax(1).flatten().mode().values)
    found = rw.probes.attribution(model, image, method="saliency", target=label)
    wanted = image.clone().requires_grad_()
    output = net(wanted)
    output[:, label][output.argmax(1) == label].mean().backward()
    np.testing.assert_allclose(found.maps[0], wanted.grad.abs().sum(1)[0], rtol=1e-4, atol=1e-7)


def test_a_method_that_covers_parts_asks_about_the_same_pixels(net) -> None:
    image = torch.rand(1, 3, 16, 16)
    model = explained_model(net, Segmentation(), image)
    mask = net(image).argmax(1)
    label = int(mask.flatten().mode().values)
    covered = torch.cat([image, torch.zeros_like(image)])
    expected = net(covered)[:, label][:, mask[0] == label].mean(1)
    assert torch.allclose(model(covered)[:, label], expected, atol=1e-6)


def test_layers_keep_their_names_and_the_model_stays_as_it_is(net) -> None:
    image = torch.rand(1, 3, 16, 16)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = explained_model(net, Segmentation(), image)
    assert isinstance(model, rw.ResNet) and list(dict(model.named_modules())) == list(
        dict(net.named_modules())
    )
    found = rw.probes.attribution(model, image, method="grad_cam", layer="layer2", target=1)
    assert found.maps.shape == (1, 16, 16)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert net(image).shape == (1, 4, 16, 16)


def test_a_classifier_is_its_own_explanation(net) -> None:
    assert explained_model(net, Classification(), torch.rand(1, 3, 16, 16)) is net


def test_an_image_is_right_where_nine_tenths_of_the_pixels_that_count_are() -> None:
    targets = torch.zeros(3, 1, 12, dtype=torch.uint8)
    targets[:, 0, 10:] = 255
    output = torch.zeros(3, 2, 1, 12)
    output[:, 0] = 1
    output[1, 1, 0, 0] = output[2, 1, 0, 0] = output[2, 1, 0, 1] = 9
    assert Segmentation().right(output, targets).tolist() == [True, True, False]
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert Classification().right(logits, torch.tensor([0, 0])).tolist() == [True, False]
