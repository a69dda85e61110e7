"""fastai's Learner on a DataBlock, with its own transforms and two workers."""

import numpy as np
from fastai.callback.core import Callback, CancelFitException
from fastai.data.all import CategoryBlock, DataBlock, IndexSplitter
from fastai.learner import Learner
from fastai.vision.all import (
    CropPad,
    CrossEntropyLossFlat,
    FlipItem,
    ImageBlock,
    Normalize,
    PILImage,
    RandomCrop,
    accuracy,
)

from benchmarks.libraries.task import BATCH, MEAN, STD, WORKERS, Stopwatch, images_and_labels, options
from reswork.models.network import resnet


class Timing(Callback):
    """Tells the stopwatch of each step, and ends the training after the last one."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def after_batch(self) -> None:
        """One more step."""
        if self.training and self.watch.step():
            raise CancelFitException


def main() -> None:
    settings = options()
    watch = Stopwatch(settings.warm, settings.steps)
    images, labels = images_and_labels()
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=lambda count: list(range(count)),
        get_x=lambda index: PILImage.create(images[index]),
        get_y=lambda index: int(labels[index]),
        splitter=IndexSplitter(np.arange(500)),
        item_tfms=[CropPad(40, pad_mode="zeros"), RandomCrop(32), FlipItem()],
        batch_tfms=[Normalize.from_stats(MEAN, STD)],
    )
    loaders = block.dataloaders(len(images), bs=BATCH, num_workers=WORKERS)
    learner = Learner(
        loaders, resnet(depth=20), loss_func=CrossEntropyLossFlat(), metrics=accuracy, cbs=[Timing(watch)]
    )
    learner.fit_one_cycle(1 + watch.total * BATCH // (len(images) - 500))
    watch.tell()


if __name__ == "__main__":
    main()
