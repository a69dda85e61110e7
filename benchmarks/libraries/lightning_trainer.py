"""Lightning's Trainer at its defaults, with the same DataLoader as the plain script."""

import tempfile

import lightning
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from benchmarks.libraries.task import BATCH, WORKERS, Stopwatch, images_and_labels, options
from benchmarks.usual_images import UsualImages
from reswork.models.network import resnet


class Classifier(lightning.LightningModule):
    """ResNet-20 with SGD."""

    def __init__(self) -> None:
        super().__init__()
        self.model = resnet(depth=20)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _index: int) -> torch.Tensor:
        """Cross-entropy of a batch."""
        images, labels = batch
        loss = F.cross_entropy(self.model(images), labels)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As in the plain script."""
        return torch.optim.SGD(self.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)


class Timing(lightning.Callback):
    """Tells the stopwatch of each step."""

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch

    def on_train_batch_end(self, *_: object) -> None:
        """One more step."""
        self._watch.step()


def main() -> None:
    settings = options()
    watch = Stopwatch(settings.warm, settings.steps)
    images, labels = images_and_labels()
    usual = UsualImages(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels))
    loader = DataLoader(
        usual, BATCH, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(max_steps=watch.total, callbacks=[Timing(watch)], default_root_dir=folder)
        trainer.fit(Classifier(), loader)
    watch.tell()


if __name__ == "__main__":
    main()
