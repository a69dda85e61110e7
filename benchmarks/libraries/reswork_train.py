"""`rw.train` at its defaults, with the same augmentation as the others."""

import tempfile

import reswork as rw
from benchmarks.libraries.task import Stopwatch, images_and_labels, options
from reswork.training.events import Event, StepDone

EPOCHS = 5  # a usual run: it decides on the mode; the run is stopped when enough steps are timed


def main() -> None:
    settings = options()
    watch = Stopwatch(settings.warm, settings.steps)
    images, labels = images_and_labels()
    data = rw.datasets.arrays(images, labels, images[:500], labels[:500], name="noise")
    recipe = rw.Recipe(epochs=EPOCHS, augmentation=rw.Augmentation(crop_padding=4, flip=True))
    with tempfile.TemporaryDirectory() as folder:
        run = rw.train(rw.resnet(depth=20), data, recipe, directory=f"{folder}/run", start=False)

        def count(event: Event) -> None:
            if isinstance(event, StepDone) and watch.step():
                run.stop()

        run.add_recorder(count)
        run.start()
        run.wait()
    print(run.mode)
    watch.tell()


if __name__ == "__main__":
    main()
