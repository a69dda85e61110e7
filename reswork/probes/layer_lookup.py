"""Layers by name: the dotted path of ``named_modules()``, and the nearest names where there is none."""

from collections.abc import Sequence
from difflib import get_close_matches

from torch import nn

from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks

_WRAPPERS = ("_orig_mod", "module")  # of torch.compile; of DataParallel and DistributedDataParallel


def unwrapped(model: nn.Module) -> nn.Module:
    """The network itself, without what ``torch.compile`` or ``DataParallel`` puts around it.

    Example:
        >>> net = nn.Linear(2, 2)
        >>> unwrapped(nn.DataParallel(net)) is net
        True
    """
    while is_wrapper(model):
        model = next(iter(model.children()))
    return model


def is_wrapper(model: nn.Module) -> bool:
    """Whether a module only wraps another one, for speed."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return True
    return type(model).__name__ == "OptimizedModule" and "_orig_mod" in model._modules


def layer_names(model: nn.Module) -> tuple[str, ...]:
    """Every layer's name, as ``named_modules()`` has it in the unwrapped network.

    Example:
        >>> layer_names(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
        ('0', '1')
    """
    return tuple(_named(model))


def block_names(model: nn.Module) -> tuple[str, ...]:
    """The blocks of any network, from input to output.

    A block is a child of a list (``Sequential``, ``ModuleList``) that has parameters and children of its own:
    ``layer1.0`` in a ResNet, ``blocks.0`` in a transformer. Where it only holds residual blocks, as a stage of one's
    own does, those count. A net without such has its weighted layers listed.
    """
    bare = unwrapped(model)
    residual = {block.name for block in residual_blocks(bare)}
    holders = {
        name for name, _ in bare.named_modules() if any(one.startswith(f"{name}.") for one in residual)
    }
    found: list[str] = []
    _collect_blocks(bare, "", found, residual, holders)
    if found:
        return tuple(found)
    return tuple(
        name
        for name, module in _named(model).items()
        if not list(module.children()) and next(module.parameters(), None) is not None
    )


def find_layers(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """The modules behind some names.

    Raises:
        InvalidSetting: for a name that is not there; the sentence has the nearest three.
    """
    known = _named(model)
    for name in names:
        if not isinstance(name, str) or name not in known:
            near = get_close_matches(str(name), known, n=3, cutoff=0.0)
            remedy = (
                f"the nearest are {', '.join(map(repr, near))}" if near else "the model has no layers inside"
            )
            raise InvalidSetting("layer", f"layer={name!r} is not a layer of this model; {remedy}")
    return {name: known[name] for name in names}


def _named(model: nn.Module) -> dict[str, nn.Module]:
    """Layers by name; wrappers inside the model count as what they wrap."""
    named = {}
    for name, module in unwrapped(model).named_modules(remove_duplicate=False):
        if name and not is_wrapper(module):
            named[_plain(name, unwrapped(model))] = module
    return named


def _plain(name: str, model: nn.Module) -> str:
    """The name without the parts that wrappers put in."""
    parts, module = [], model
    for part in name.split("."):
        if not (is_wrapper(module) and part in _WRAPPERS):
            parts.append(part)
        module = module._modules[part] or module
    return ".".join(parts)


def _collect_blocks(
    module: nn.Module, prefix: str, found: list[str], residual: set[str], holders: set[str]
) -> None:
    for name, child in module.named_children():
        inner, whole = unwrapped(child), prefix + name
        in_list = isinstance(module, nn.Sequential | nn.ModuleList)
        is_list = isinstance(inner, nn.Sequential | nn.ModuleList)
        has_parts = next(inner.children(), None) is not None and next(inner.parameters(), None) is not None
        if whole in residual or (in_list and has_parts and not is_list and whole not in holders):
            found.append(whole)
        else:
            _collect_blocks(inner, f"{whole}.", found, residual, holders)
