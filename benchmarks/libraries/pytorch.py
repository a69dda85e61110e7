"""A plain PyTorch script: DataLoader with two workers, torchvision's transforms, a loop."""

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from benchmarks.libraries.task import BATCH, WORKERS, Stopwatch, images_and_labels, options
from benchmarks.usual_images import UsualImages
from reswork.models.network import resnet


def main() -> None:
    settings = options()
    watch = Stopwatch(settings.warm, settings.steps)
    images, labels = images_and_labels()
    usual = UsualImages(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels))
    loader = DataLoader(usual, BATCH, shuffle=True, num_workers=WORKERS, drop_last=True)
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    model = resnet(depth=20).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    done = False
    while not done:
        for batch, targets in loader:
            batch, targets = batch.to(device), targets.to(device)
            loss = F.cross_entropy(model(batch), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()  # for the running mean that such scripts print
            if done := watch.step():
                break
    watch.tell()


if __name__ == "__main__":
    main()
