import numpy as np
import pytest
import torch

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.experiment.pinned_examples import PinnedExamples, first_of_each_class, thinned
from reswork.results import Frame
from reswork.results.answers import ClassAnswers


def frame(step: int) -> Frame:
    return Frame(step, np.zeros((1, 2, 2), np.float32), ClassAnswers(np.ones((1, 1), np.float32)))


def test_frames_hold_the_networks_own_answers_and_maps() -> None:
    torch.manual_seed(0)
    data, net = rw.datasets.digits(), rw.resnet(depth=8, in_channels=1).eval()
    film = PinnedExamples(data, (3, 5))
    film.shoot(net, 1)
    film.shoot(net, 1)
    (only,) = film.frames
    images = rw.datasets.normalise(data.test.images[[3, 5]], data.mean, data.std)
    chances = net(images).softmax(1)
    assert only.answers.classes.tolist() == chances.argmax(1).tolist()
    np.testing.assert_allclose(only.answers.sure, chances.max(1).values.detach().numpy(), rtol=1e-5)
    map_ = rw.probes.attribution(net, images, method="grad_cam").maps
    np.testing.assert_allclose(only.maps, map_, rtol=1e-4, atol=1e-6)


def test_the_first_and_the_newest_stay_and_the_rest_is_spread() -> None:
    frames: tuple[Frame, ...] = ()
    for step in range(1, 101):
        frames = thinned((*frames, frame(step)), 10)
    steps = [each.step for each in frames]
    assert len(steps) == 10
    assert steps[0] == 1 and steps[-1] == 100
    assert max(np.diff(steps)) <= 3 * 100 / 9


def test_one_picture_of_each_of_four_classes() -> None:
    data = rw.datasets.digits()
    assert data.test.labels[list(first_of_each_class(data))].tolist() == [0, 1, 2, 3]
    with pytest.raises(InvalidSetting, match="choose 0 to"):
        PinnedExamples(data, (10**6,))
