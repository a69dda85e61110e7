"""How many pictures at once: as many as pay, never more than the memory holds."""

import psutil
import torch
from torch import Tensor

from reswork.probes.scalar_model import ScalarModel

_MOST = 64  # more at once is no faster
_SHARE = 0.25  # of the free memory
_BYTES = 2**30  # at most, even where more is free


def images_at_once(scalar_model: ScalarModel, image: Tensor) -> int:
    """How many pictures may go through the net together, forwards and backwards.

    Args:
        scalar_model: the net.
        image: (1, C, H, W); one forward of it is measured.

    Returns:
        1 to 64.
    """
    seen: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = {weight.untyped_storage().data_ptr() for weight in scalar_model.parameters()}
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        answers = scalar_model.logits(image.detach().clone().requires_grad_())
    each = sum(size for index, size in seen.items() if index not in weights) or 1
    del answers
    on_gpu = image.device.type == "cuda"
    free = torch.cuda.mem_get_info(image.device)[0] if on_gpu else psutil.virtual_memory().available
    room = min(_BYTES, _SHARE * free)
    return max(1, min(_MOST, int(room / (2 * each))))  # twice: gradients on the way back
