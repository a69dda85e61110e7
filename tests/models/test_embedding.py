"""The head that gives an embedding, and the code of an autoencoder."""

import pytest
import torch
import torch.nn.functional as F

import reswork as rw


@pytest.mark.parametrize(
    "settings", [{}, {"residual": False}, {"order": "pre", "norm": "group"}, {"depth": 18}]
)
def test_the_sheet_counts_an_embedding_as_it_is(settings: dict[str, object]) -> None:
    config = rw.ResNetConfig(**{"depth": 8, "width": 4, "num_classes": 7, "head": "embedding", **settings})
    sheet, model = rw.spec_sheet(config), rw.resnet(config).eval()
    assert sheet.parameters == sum(weight.numel() for weight in model.parameters())
    assert sheet.output_shape == (71,) and sheet.label.startswith("Embedding on ")
    last = [layer for layer in sheet.layers if layer.name in ("fc", "identities")]
    assert [layer.parameters for layer in last] == [
        sum(weight.numel() for weight in model.get_submodule(layer.name).parameters()) for layer in last
    ]
    with torch.no_grad():
        found = model(torch.rand(2, 3, 32, 32))
    assert found.shape == (2, 71)
    torch.testing.assert_close(found[:, :64].norm(dim=1), torch.ones(2))
    torch.testing.assert_close(found[:, 64:], found[:, :64] @ F.normalize(model.identities.weight).T)
    assert rw.probes.outline(model, torch.rand(1, 3, 32, 32)).output_shape == (71,)


def test_nothing_comes_through_an_autoencoder_but_its_code() -> None:
    torch.manual_seed(0)
    config = rw.ResNetConfig(depth=8, width=4, in_channels=1, num_classes=1, head="autoencoder", code=2)
    model = rw.resnet(config).eval()
    images = torch.rand(3, 1, 21, 30)
    with torch.no_grad():
        whole = model(images)
        assert whole.shape == images.shape
        code = model.decoder.code(model.features(images)[-1])
        assert code.shape == (3, 2, 6, 8)
        model.decoder.code.weight.zero_()  # without it all images become one
        model.decoder.code.bias.zero_()
        assert (model(images) - model(images)[:1]).abs().max() < 1e-5
    assert rw.spec_sheet(config, (1, 21, 30)).levels[0].joins is False
    figure = rw.figures.network(rw.spec_sheet(config, (1, 21, 30)))
    u_net = rw.figures.network(rw.spec_sheet(rw.ResNetConfig(depth=8, width=4, head="unet"), (3, 21, 30)))
    assert len(figure.data) == len(u_net.data)
