import numpy as np
import torch

from reswork.probes.inpainting import inpainted


def _solved(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """The same equations as one dense system."""
    height, width = removed.shape
    places = {place: row for row, place in enumerate(zip(*np.nonzero(removed), strict=True))}
    matrix, right = np.zeros((len(places), len(places))), np.zeros((len(places), len(image)))
    for (y, x), row in places.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                near = (y + down, x + across)
                if (down, across) == (0, 0) or not (0 <= near[0] < height and 0 <= near[1] < width):
                    continue
                weight = 1 / 6 if 0 in (down, across) else 1 / 12
                matrix[row, row] += weight
                if near in places:
                    matrix[row, places[near]] -= weight
                else:
                    right[row] += weight * image[:, near[0], near[1]]
    result = image.copy()
    for (y, x), row in places.items():
        result[:, y, x] = np.linalg.solve(matrix, right)[row]
    return result


def test_it_solves_the_equations() -> None:
    random = np.random.default_rng(0)
    image = random.normal(size=(3, 12, 10))
    removed = random.random((4, 12, 10)) < np.array([0.1, 0.5, 0.8, 0.97])[:, None, None]
    found = inpainted(torch.from_numpy(image), torch.from_numpy(removed)).numpy()
    span = image.max() - image.min()
    for one, mask in zip(found, removed, strict=True):
        wanted = _solved(image, mask)
        assert np.array_equal(one[:, ~mask], image[:, ~mask])
        error = (one - wanted)[:, mask] / span
        assert np.abs(error).max() < 0.05 and 0.003 < error.std() < 0.02  # the noise of 1 %, nothing else


def test_all_and_nothing() -> None:
    image = torch.rand(3, 8, 8)
    everything, nothing = inpainted(image, torch.stack([torch.ones(8, 8), torch.zeros(8, 8)]).bool())
    assert torch.equal(nothing, image)
    assert (everything - image.mean((1, 2), keepdim=True)).abs().max() < 0.05


def test_a_large_hole_in_a_large_picture_is_smooth() -> None:
    slope = torch.linspace(0, 1, 96).expand(1, 96, 96).contiguous()
    removed = torch.zeros(1, 96, 96, dtype=torch.bool)
    removed[:, 8:88, 8:88] = True
    assert (inpainted(slope, removed)[0] - slope).abs().max() < 0.06  # a plane goes on as a plane
