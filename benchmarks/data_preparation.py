"""Training batches by `Preparation`, against a DataLoader with torchvision's transforms.

Both make batches of 128 from the same 50,000 images of 32x32: shuffled, padded by 4 and cut, half of them
mirrored, normalised. The DataLoader has as many workers as serve it best here. The arms take turns in one
process, so that what else the machine does hits all of them; each ratio is of neighbours in time. Prints a row
of a markdown table for each arm:

    python benchmarks/data_preparation.py --rounds 9
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from reswork.datasets import Augmentation, Preparation, Split

BATCH = 128
IMAGES = 50_000
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
TARGET = 20.0


def made_split() -> Split:
    """Noise of CIFAR-10's size: what the images show does not change the speed."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(IMAGES) % 10)


class Usual(TorchDataset):
    """What torchvision's CIFAR10 does for each image."""

    def __init__(self, split: Split) -> None:
        self.images = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = split.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def usual(split: Split, workers: int) -> Iterator[object]:
    """Batches without end."""
    loader = DataLoader(
        Usual(split), BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    while True:
        yield from loader


def prepared(split: Split, channels_last: bool, device: str) -> Iterator[object]:
    """Batches without end."""
    split = split.to(device)
    prepare = Preparation(
        split, MEAN, STD, Augmentation(crop_padding=4, flip=True), channels_last=channels_last
    )
    generator = torch.Generator(device).manual_seed(0)
    while True:
        order = torch.randperm(IMAGES, device=device)
        for chosen in order.split(BATCH)[:-1]:
            yield prepare(chosen, generator)


def images_per_second(batches: Iterator[object], seconds: float, wait: Callable[[], None]) -> float:
    """Throughput over about so many seconds."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(batches)
        count += 1
    wait()
    return count * BATCH / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each arm in each round")
    parser.add_argument(
        "--workers", type=int, nargs="*", default=[0, 2], help="of the DataLoader, one arm each"
    )
    parser.add_argument("--device", default="cpu", help="where reswork's batches are made")
    settings = parser.parse_args()
    split = made_split()
    theirs = {f"DataLoader, {count} workers": usual(split, count) for count in settings.workers}
    ours = {
        "Preparation": prepared(split, False, settings.device),
        "Preparation, channels last": prepared(split, True, settings.device),
    }
    wait = torch.accelerator.synchronize if settings.device != "cpu" else lambda: None
    arms = {**theirs, **ours}
    for batches in arms.values():  # warm: workers started, memory touched
        images_per_second(batches, settings.seconds, wait)
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(settings.rounds):
        for name, batches in arms.items():
            speeds[name].append(images_per_second(batches, settings.seconds, wait))
    best = max(theirs, key=lambda name: statistics.median(speeds[name]))
    print(
        f"| arm, {settings.rounds} rounds | images/s, median | ratio to the faster DataLoader, median (least to most) |"
    )
    print("|---|---|---|")
    for name, measured in speeds.items():
        ratios = [mine / other for mine, other in zip(measured, speeds[best], strict=True)]
        verdict = f", target {TARGET:g}" if name in ours else ""
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}){verdict}"
        print(f"| {name} | {statistics.median(measured):,.0f} | {spread} |")


if __name__ == "__main__":
    main()
