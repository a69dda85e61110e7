"""A data set as torchvision's CIFAR10 is one: an image for each index, transformed one by one."""

import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


class UsualImages(Dataset):
    """Images (N, 3, 32, 32) uint8 and labels (N,): padded by 4 and cut, half of them mirrored, normalised."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self._images = images.permute(0, 2, 3, 1).contiguous().numpy()
        self._labels = labels.tolist()
        self._transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), self._labels[index]
