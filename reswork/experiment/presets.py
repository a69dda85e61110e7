"""Recipes to start from, each with its reason and the time that it takes."""

from dataclasses import dataclass, replace

from reswork.datasets.augmentation import Augmentation
from reswork.errors import InvalidSetting
from reswork.training.recipe import Recipe


@dataclass(frozen=True)
class Preset:
    """A recipe that explains itself."""

    name: str
    label: str  # what a menu shows
    explanation: str  # plain sentences: what it does and why
    typical_time: str
    recipe: Recipe


QUICK_LOOK = Preset(
    "quick look",
    "Quick look",
    "A few passes, to see a network learn while you watch. The learning rate rises for the first third and "
    "then falls to nothing (one-cycle), which gets far in few steps; pictures are mirrored at random. "
    "Good for trying settings, not for a final number.",
    "about a minute for ResNet-20 on fashion's 10,000 images with two processor cores",
    Recipe(
        epochs=5,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        schedule="one_cycle",
        augmentation=Augmentation(flip=True),
    ),
)

PAPERS = Preset(
    "paper's",
    "The paper's",
    "He et al. 2015, section 4.2: SGD with momentum 0.9, weight decay 0.0001, batches of 128, learning rate "
    "0.1 divided by ten after half and three quarters of 64,000 steps; pictures are padded by 4 pixels, cut "
    "at a random place and mirrored. For numbers that compare with published ones, on CIFAR-10. At depth "
    "110 the paper begins with a rate of 0.01 until the error falls below 80 %: set a warm-up of one epoch.",
    "64,000 steps: a bit over three hours for ResNet-20 with two processor cores, minutes on a GPU",
    Recipe(
        steps=64_000,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.5, 0.75),
        augmentation=Augmentation(crop_padding=4, flip=True),
    ),
)

FAST = Preset(
    "fast",
    "Fast",
    "A good network in a twentieth of the paper's steps. Muon, whose steps are as long where gradients are small as "
    "where they are large, with a learning rate that rises and falls to nothing (one-cycle), weight decay but none on "
    "norms and biases, targets smoothed by 0.1, pictures shifted and mirrored at random.",
    "one to two minutes for ResNet-20 on fashion's 10,000 images with two processor cores",
    Recipe(
        epochs=7,
        batch_size=128,
        optimizer="muon",
        learning_rate=0.01,
        momentum=0.9,
        weight_decay=0.1,
        decay_norm_and_bias=False,
        schedule="one_cycle",
        label_smoothing=0.1,
        augmentation=Augmentation(crop_padding=4, flip=True),
    ),
)

FINE_TUNING = Preset(
    "fine-tuning",
    "Fine-tuning",
    "For a network that begins with trained weights, and for few pictures: small batches, so that there are enough "
    "steps, and half of the usual learning rate, which rises and falls to nothing (one-cycle), so that what the "
    "weights know is not thrown away in the first steps.",
    "seconds for some hundred pictures",
    Recipe(
        epochs=10,
        batch_size=32,
        optimizer="sgd",
        learning_rate=0.05,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        schedule="one_cycle",
    ),
)

PHOTOGRAPHS = Preset(
    "photographs",
    "Photographs",
    "For super-resolution and denoising: Adam, as EDSR, with small batches of patches, mirrored at random; the rate "
    "rises and falls to nothing (one-cycle). Few photographs are soon learned by heart: more passes help on those that "
    "are trained on and harm on others.",
    "about half a minute for the small EDSR form on 1,000 patches with two processor cores",
    Recipe(
        epochs=4,
        batch_size=16,
        optimizer="adam",
        learning_rate=0.002,
        weight_decay=0.0,
        schedule="one_cycle",
        augmentation=Augmentation(flip=True),
    ),
)

LOOK_ALIKES = Preset(
    "look-alikes",
    "Look-alikes",
    "For identities: Adam with small batches, mirrored at random; the rate rises and falls to nothing (one-cycle). The "
    "margin makes the loss large at first: it falls slowly, and what counts is the test with identities that were "
    "never seen.",
    "about a minute for ResNet-8 on 1,200 drawn faces with two processor cores",
    Recipe(
        epochs=10,
        batch_size=32,
        optimizer="adam",
        learning_rate=0.003,
        weight_decay=0.0,
        schedule="one_cycle",
        augmentation=Augmentation(flip=True),
    ),
)

GOOD_ALONE = Preset(
    "good alone",
    "Good ones alone",
    "For anomalies: Adam with small batches of good images; the rate rises and falls to nothing (one-cycle). Nothing "
    "is mirrored or shifted: a mirrored thing may be just what is wrong.",
    "about a minute for an autoencoder of depth 8 on 600 plates with two processor cores",
    Recipe(
        epochs=20,
        batch_size=32,
        optimizer="adam",
        learning_rate=0.003,
        weight_decay=0.0,
        schedule="one_cycle",
    ),
)

SIGNALS = Preset(
    "signals",
    "Signals",
    "For signals with a class or a value each: SGD with momentum in small batches, as such sets are small; the rate "
    "rises for the first third and then falls to nothing (one-cycle). Nothing is augmented, as a curve that is "
    "mirrored mostly is another one.",
    "five to ten seconds for a 1-D ResNet-8 on 600 signals of 128 moments with two processor cores",
    Recipe(epochs=20, batch_size=64, optimizer="sgd", learning_rate=0.05, schedule="one_cycle"),
)

NEXT_STEPS = Preset(
    "next steps",
    "Next steps",
    "For the next steps of a series: as for signals, with less than half the rate. Windows of one series are all "
    "alike and few of them are independent, and a network that learns fast learns the noise of its training weeks.",
    "about six seconds for a 1-D ResNet-8 on 641 windows with two processor cores",
    Recipe(epochs=20, batch_size=64, optimizer="sgd", learning_rate=0.02, schedule="one_cycle"),
)

TABLES = Preset(
    "tables",
    "Tables",
    "For rows of a table: AdamW with a small rate in small batches, as in Gorishniy et al. 2021; few passes, because "
    "a network of this size soon knows some thousand rows by heart. A dropout of 0.2 helps against that too.",
    "one to four seconds for a Table ResNet-8 on some thousand rows with two processor cores",
    Recipe(epochs=8, batch_size=64, optimizer="adamw", learning_rate=0.002, schedule="one_cycle"),
)

TEXTS = Preset(
    "texts",
    "Texts",
    "For texts that are read sign by sign: AdamW, which moves the numbers of rare signs as far as those of frequent "
    "ones, in batches of 128. The rate rises for the first third and then falls to nothing (one-cycle).",
    "about a minute for a 1-D ResNet-8 on 9,400 names with two processor cores",
    Recipe(epochs=12, batch_size=128, optimizer="adamw", learning_rate=0.003, schedule="one_cycle"),
)

MASKS = Preset(
    "masks",
    "Masks",
    "For a class of each pixel: AdamW with small batches, as each image has thousands of targets; the rate rises and "
    "falls to nothing (one-cycle); images are mirrored at random with their masks.",
    "about a minute for the small U-Net on 400 images of 48x48 pixels with two processor cores",
    Recipe(
        epochs=12,
        batch_size=16,
        optimizer="adamw",
        learning_rate=0.01,
        weight_decay=1e-4,
        schedule="one_cycle",
        augmentation=Augmentation(flip=True),
    ),
)

VOLUMES = Preset(
    "volumes",
    "Volumes",
    "For a class of each point of a volume, most of which are ground: as for masks, with smaller batches, and each "
    "class weighted by how rare it is; without, all points are soon called ground.",
    "one to some minutes for the small 3-D U-Net on the drawn solids with two processor cores",
    replace(MASKS.recipe, batch_size=8, class_weights="balanced"),
)

BOXES = Preset(
    "boxes",
    "Boxes",
    "For detection: Adam with small batches, images shifted by up to 4 pixels and mirrored at random, boxes with them; "
    "the rate rises and falls to nothing (one-cycle). Things are found after a few passes; tight boxes take more.",
    "half a minute for the small detector on 400 pictures of 48 pixels with two processor cores",
    Recipe(
        epochs=12,
        batch_size=16,
        optimizer="adam",
        learning_rate=0.005,
        weight_decay=0.0,
        schedule="one_cycle",
        augmentation=Augmentation(crop_padding=4, flip=True),
    ),
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        QUICK_LOOK,
        PAPERS,
        FAST,
        FINE_TUNING,
        MASKS,
        VOLUMES,
        BOXES,
        PHOTOGRAPHS,
        LOOK_ALIKES,
        GOOD_ALONE,
        SIGNALS,
        NEXT_STEPS,
        TABLES,
        TEXTS,
    )
}


def preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        InvalidSetting: if there is none of this name.

    Example:
        >>> preset("paper's").recipe.steps
        64000
    """
    if name not in PRESETS:
        raise InvalidSetting("preset", f"preset={name!r} is unknown; choose {', '.join(map(repr, PRESETS))}")
    return PRESETS[name]
