import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset, Split
from reswork.training.evaluation import evaluate
from reswork.training.modes import Mode


class Lookup(nn.Module):
    """Gives the logits whose number stands in the first pixel."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("logits", logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        numbers = (images[:, 0, 0, 0] * 255).round().long()
        return self.logits[numbers]


def case(classes: int, count: int = 200, present: int | None = None) -> tuple[Lookup, Dataset, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    labels = torch.randint(present or classes, (count,), generator=generator)
    logits = torch.randn(count, classes, generator=generator) + F.one_hot(labels, classes)
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    split = Split(images, labels)
    names = tuple(map(str, range(classes)))
    return Lookup(logits), Dataset("toy", split, split, names, (0.0,), (1.0,), "made up"), logits


@pytest.mark.parametrize(("classes", "present"), [(2, None), (4, None), (10, None), (10, 6)])
@pytest.mark.parametrize("batch_size", [7, 500])
def test_every_metric_equals_scikit_learn(classes, present, batch_size, device):
    model, data, logits = case(classes, present=present)
    found = evaluate(model.to(device), data.to(device), batch_size=batch_size)
    assert found is not None
    split = data.test
    truth, answers = split.labels.numpy(), logits.argmax(1).numpy()
    every = {"labels": sorted(set(truth) | set(answers)), "average": "macro", "zero_division": 0}
    expected = {
        "loss": F.cross_entropy(logits, split.labels).item(),
        "top1": sklearn.metrics.accuracy_score(truth, answers),
        "top5": (logits.topk(min(5, classes)).indices == split.labels[:, None]).any(1).float().mean().item(),
        "precision": sklearn.metrics.precision_score(truth, answers, **every),
        "recall": sklearn.metrics.recall_score(truth, answers, **every),
        "f1": sklearn.metrics.f1_score(truth, answers, **every),
    }
    assert found.metrics == pytest.approx(expected, abs=1e-5)
    assert found.loss == found.metrics["loss"]
    np.testing.assert_array_equal(
        found.tables["confusion"], sklearn.metrics.confusion_matrix(truth, answers, labels=range(classes))
    )


def test_each_part_keeps_its_own_mode_and_statistics(make_net, make_data):
    model, data = make_net().train(), make_data()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, data)
    assert [module.training for module in model] == [True, False, True, True, True, True, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_it_ends_between_two_batches_when_asked(make_net, make_data):
    data, asked = make_data(test=40), []

    def stopped() -> bool:
        asked.append(True)
        return len(asked) > 2

    found = evaluate(make_net(), data, batch_size=8, stopped=stopped)
    assert found is None
    assert len(asked) == 3


def test_bf16_gives_nearly_the_same(make_net, make_data):
    data, model = make_data(), make_net()
    plain = evaluate(model, data)
    short = evaluate(model, data, mode=Mode("cpu", "bf16", channels_last=True))
    assert plain is not None
    assert short is not None
    assert short.loss == pytest.approx(plain.loss, abs=0.02)
