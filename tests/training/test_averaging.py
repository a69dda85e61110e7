import torch
from torch import nn

from reswork.training.averaging import MovingAverage


def test_it_equals_the_formula_also_for_statistics():
    model = nn.BatchNorm1d(2)
    average = MovingAverage(model, 0.9)
    expected = model.weight.detach().clone(), model.running_mean.clone()
    for n in range(1, 200):
        with torch.no_grad():
            model.weight.add_(0.1)
            model.running_mean.mul_(0.5).add_(n)
            model.num_batches_tracked.add_(1)
        average.update()
        decay = min(0.9, (1 + n) / (10 + n))
        expected = (
            decay * expected[0] + (1 - decay) * model.weight.detach(),
            decay * expected[1] + (1 - decay) * model.running_mean,
        )
    torch.testing.assert_close(average.model.weight, expected[0])
    torch.testing.assert_close(average.model.running_mean, expected[1])
    assert average.model.num_batches_tracked == 199


def test_it_is_a_copy_until_it_is_put_back():
    model = nn.Linear(2, 2)
    average = MovingAverage(model, 0.99)
    with torch.no_grad():
        model.weight.zero_()
    assert average.model.weight.abs().sum() > 0
    assert not average.model.weight.requires_grad
    average.copy_to(model)
    assert torch.equal(model.weight, average.model.weight)
    assert model.weight.requires_grad
