"""Keras 3 on the torch backend: preprocessing layers in the model, `compile` and `fit` on arrays."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
from keras import layers

from benchmarks.libraries.task import BATCH, MEAN, STD, Stopwatch, images_and_labels, options


class Timing(keras.callbacks.Callback):
    """Tells the stopwatch of each step, and ends the training after the last one."""

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__()
        self._watch = watch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """One more step."""
        if self._watch.step():
            self.model.stop_training = True


def resnet20() -> keras.Model:
    """He et al. 2015, section 4.2: three stages of three blocks, projections where the shape changes."""
    inputs = keras.Input((32, 32, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.RandomTranslation(0.125, 0.125, fill_mode="constant")(x)
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Normalization(mean=MEAN, variance=[each**2 for each in STD])(x)
    x = layers.Activation("relu")(_normed(x, 16, 3, 1))
    for stage, width in enumerate((16, 32, 64)):
        for block in range(3):
            stride = 2 if stage and not block else 1
            branch = layers.Activation("relu")(_normed(x, width, 3, stride))
            branch = _normed(branch, width, 3, 1)
            shortcut = x if stride == 1 else _normed(x, width, 1, stride)
            x = layers.Activation("relu")(layers.Add()([branch, shortcut]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _normed(x: object, width: int, kernel: int, stride: int) -> object:
    x = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def main() -> None:
    settings = options()
    watch = Stopwatch(settings.warm, settings.steps)
    images, labels = images_and_labels()
    model = resnet20()
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    epochs = 1 + watch.total * BATCH // len(images)
    model.fit(images, labels, batch_size=BATCH, epochs=epochs, callbacks=[Timing(watch)])
    watch.tell()


if __name__ == "__main__":
    main()
