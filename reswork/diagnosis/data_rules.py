"""Rules about the images and labels: statistics, channels, copies, labels that do not belong."""

import math
from dataclasses import replace

import numpy as np
import torch

from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.inputs import channel_statistics
from reswork.diagnosis.data_facts import ASKED, copies, neighbour_votes, renamed
from reswork.diagnosis.facts import Answers, DataFacts, Facts, known
from reswork.diagnosis.finding import Change, Fix
from reswork.diagnosis.remedies import shifted
from reswork.diagnosis.rule import Measured, Rule

_CLEAR = (
    0.4  # share of test images whose nearest training image has their label, from which that is a witness
)
_PER_CLASS = 20  # training images, from which labels can be told from drawn ones
_BELONG = 2.5  # deviations above what drawn labels would give, from which neighbours show that labels belong
_CLEARLY = 4.0  # the same of test labels, and of all three together
_BLANK = 0.2  # share of images that show nothing, from which their labels cannot be judged
_ALIKE = 0.1  # share of images by which the splits' classes may differ, to be compared
_TOGETHER = 1.3  # deviations, over scores, losses and neighbours
_WRONG = 0.08  # limit of label_noise
_SURE = 0.55  # score from which a network is a witness of labels in both splits
_IN_BOTH = 0.7  # what a doubtful label counts where as many are in the test split
_SURPRISED = 0.4  # what a loss counts that is larger where it was learned from, as a logarithm
_KNOWS = 2.0  # test score over chance, from which a network's surprise is a witness
_LOST = 0.5  # of an image's contrast, from which an augmentation is called destructive
_COPES = 0.85  # score on augmented images, from which nothing can be said to be destroyed
_DESTRUCTIVE = 0.25  # of the score
_LIMIT = "limit from the trainings of docs/doctor.md"
_EXACT = "a normalised input has mean 0 and deviation 1; " + _LIMIT


def _renormalised(data: Dataset) -> Dataset:
    mean, std = channel_statistics(data.train.images)
    return replace(data, mean=mean, std=std)


def _statistics_fix(data: DataFacts) -> Fix:
    changes = (
        Change("data", "mean", data.mean, data.true_mean),
        Change("data", "std", data.std, data.true_std),
    )
    return Fix("Normalise with the mean and deviation of the training images.", changes, _renormalised)


def _channels(values: np.ndarray) -> tuple[str, ...]:
    return tuple(f"channel {number}" for number in range(len(values)))


def _unnormalised(facts: Facts) -> Measured | None:
    data = known(facts.data)
    off = np.maximum(
        np.abs(data.input_mean) / np.maximum(data.input_std, 1e-6),
        np.abs(np.log(np.maximum(data.input_std, 1e-6))),
    )
    worst = int(off.argmax())
    return Measured(
        float(off[worst]),
        f"The input is not normalised: channel {worst} has mean {data.input_mean[worst]:.2f} and deviation "
        f"{data.input_std[worst]:.2f}.",
        _statistics_fix(data),
        "mean of the input",
        _channels(data.input_mean),
        data.input_mean,
    )


def _values_to_255(facts: Facts) -> Measured | None:
    data = known(facts.data)
    return Measured(
        float(data.input_std.max()),
        f"The input has values as large as bytes: a deviation of {data.input_std.max():.0f} instead of 1.",
        _statistics_fix(data),
        "deviation of the input",
        _channels(data.input_std),
        data.input_std,
    )


def _empty_inputs(facts: Facts) -> Measured | None:
    data = known(facts.data)
    return Measured(
        data.blank,
        f"{data.blank:.0%} of the training images show nothing: all their pixels are of nearly one grey.",
        Fix("Look at how they were read: whole numbers that were divided too early become 0."),
        numbers={"blank": data.blank},
    )


def _shift(data: DataFacts, order: tuple[int, ...] | None = None) -> np.ndarray:
    """How far mean and deviation of each test channel are from those of training."""
    mean, std = data.test_mean, data.test_std
    if order is not None:  # of the pixels, before they are normalised channel by channel
        own, scale, chosen = np.array(data.mean), np.array(data.std), list(order)
        mean, std = ((mean * scale + own)[chosen] - own) / scale, (std * scale)[chosen] / scale
    unit = np.maximum(data.input_std, 1e-6)
    return np.abs(mean - data.input_mean) / unit + np.abs(np.log(np.maximum(std, 1e-6) / unit))


def _test_inputs_differ(facts: Facts) -> Measured | None:
    data = known(facts.data)
    off = _shift(data)
    worst = int(off.argmax())
    return Measured(
        float(off[worst]),
        f"Test images are not like the training images: channel {worst} has mean {data.test_mean[worst]:.2f} and "
        f"deviation {data.test_std[worst]:.2f}, in training {data.input_mean[worst]:.2f} and "
        f"{data.input_std[worst]:.2f}.",
        Fix("Read and prepare both splits by the same code."),
        "distance of mean and deviation",
        _channels(off),
        off,
    )


def _channels_swapped(facts: Facts) -> Measured | None:
    data, answers = known(facts.data), facts.answers
    if len(data.test_mean) != 3:
        return None
    orders = [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    closest = min(orders, key=lambda order: float(_shift(data, order).sum()))
    nearer = float(_shift(data).mean() - _shift(data, closest).mean())
    gain = 0.0
    if answers is not None and np.isfinite(answers.channel_score):
        gain = max(0.0, answers.channel_score - answers.test_score)
    order = answers.channel_order if answers is not None and gain > 0.1 else closest

    def mended(found: Dataset) -> Dataset:
        return replace(found, test=Split(found.test.images[:, list(order)], found.test.targets))

    value = nearer + gain
    return Measured(
        value,
        f"The channels are swapped between the splits: with the test images' channels in the order {tuple(order)} they "
        f"look like the training images, and {gain:.0%} more are named right.",
        Fix(
            "Read both splits in the same order.",
            (Change("data", "channels", (0, 1, 2), tuple(order)),),
            mended,
        ),
        "distance of mean and deviation",
        ("as they are", "in the other order"),
        np.array([_shift(data).mean(), _shift(data, closest).mean()]),
    )


def _imbalance(facts: Facts) -> Measured | None:
    data = known(facts.data)
    most, least = data.counts.max(), data.counts.min()
    recipe = None if facts.settings is None else facts.settings.recipe
    if recipe is not None and recipe.class_weights is not None:
        return None
    fix = Fix("Show images of rare classes more often, and find more of them.", eases=True)
    if recipe is not None:
        changes = (
            Change("data", "images of a rare class", "once", "as often as the others'"),
            *shifted(recipe),
        )
        fix = replace(fix, changes=changes, mended=evenly_repeated)
    return Measured(
        float(most / max(least, 0.5)),
        f"The classes are unequal: the most frequent has {most:.0f} training images, the rarest {least:.0f}.",
        fix,
        "training images",
        tuple(str(number) for number in range(len(data.counts))),
        data.counts,
    )


def _leakage(facts: Facts) -> Measured | None:
    data = known(facts.data)

    def mended(found: Dataset) -> Dataset:
        return replace(found, test=found.test.take(torch.logical_not(copies(found))))

    return Measured(
        data.copies,
        f"{data.copies:.0%} of the test images stand among the training images: the test says little of new ones.",
        Fix(
            "Take them out of the test split.",
            (Change("data", "test", data.test_images, round(data.test_images * (1 - data.copies))),),
            mended,
        )
        if data.copies < 1
        else Fix("Set other images aside for the test."),
        numbers={"share": data.copies},
    )


def evenly_repeated(data: Dataset) -> Dataset:
    """The images of each class so often that there are as many as of the most frequent one."""
    counts = torch.bincount(data.train.labels, minlength=len(data.classes))
    most = int(counts.max())
    places = [
        (data.train.labels == number).nonzero().flatten() for number in range(len(counts)) if counts[number]
    ]
    repeated = torch.cat([own[torch.arange(most) % len(own)] for own in places])
    return replace(data, train=data.train.take(repeated.sort().values), extras={})


def _labels_shuffled(facts: Facts) -> Measured | None:
    data, answers = known(facts.data), known(facts.answers)
    of_train, of_test = _shares(data)
    chance = float(of_test.max())  # of whoever always says the most frequent class
    if data.images < _PER_CLASS * data.classes:  # learned by heart, whatever the labels
        return None
    drawn = float(of_train @ of_train)  # share of neighbours with the same label, if labels were drawn
    best = max(data.neighbours_matched, answers.test_score, answers.matched_score)
    share = max((data.neighbours - drawn) / max(1 - drawn, 1e-6), (best - chance) / max(1 - chance, 1e-6))
    by = (
        _beyond(data.neighbours, drawn, data.images),
        _beyond(data.neighbours_test, float(of_train @ of_test), data.test_images),
        _beyond(answers.test_score, chance, data.test_images),
    )
    told = by[0] > _BELONG or max(by[1:]) > _CLEARLY or sum(by) > _CLEARLY
    return Measured(
        0.0 if told else 1 - share,
        f"The labels do not belong to the images: an image's nearest neighbour has its label in {data.neighbours:.0%} "
        f"of all cases, chance is {chance:.0%}, and no test image can be told from what was learned "
        f"({answers.test_score:.0%} right).",
        Fix("Look at the order in which images and labels were read: both lists must be sorted alike."),
        "share with the same label",
        ("nearest neighbour", "network, test images", "chance"),
        np.array([data.neighbours, answers.test_score, chance]),
    )


def _shares(data: DataFacts) -> tuple[np.ndarray, np.ndarray]:
    """Of each class among the images of both splits, (K,) each; of test images that were not counted as in training."""
    counts = data.test_counts if data.test_counts.sum() else data.counts
    return data.counts / max(1.0, data.counts.sum()), counts / max(1.0, counts.sum())


def _beyond(share: float, chance: float, images: int) -> float:
    """How far a share is above that of drawn labels, in deviations."""
    deviation: float = (chance * (1 - chance) / max(1, min(ASKED, images))) ** 0.5
    return (share - chance) / max(deviation, 1e-6)


def _labels_off(facts: Facts) -> Measured | None:
    data, answers = known(facts.data), facts.answers
    gain = data.neighbours_matched - data.neighbours_test
    value, fix = (
        gain,
        "Make the class numbers of both splits from one list of names, and count from 0 in both.",
    )
    if answers is not None and answers.matched_score > 0.4:
        by_network = answers.matched_score - answers.test_score
        trusted = answers.matched_score > data.neighbours_matched + 0.1  # where the nearest image says little
        value = by_network if trusted else min(gain, by_network)
    return Measured(
        value,
        f"The test labels have other numbers than the training labels: with classes renamed {value:.0%} more of the "
        "test images agree with what the training images say.",
        Fix(fix, (Change("data", "test labels", "as they are", "renamed"),), renamed)
        if gain > _CLEAR
        else Fix(fix),
        "share that agrees",
        ("as they are", "renamed"),
        np.array([data.neighbours_test, data.neighbours_matched]),
    )


def _label_noise(facts: Facts) -> Measured:
    answers, data = known(facts.answers), facts.data
    beyond = answers.doubtful - np.nan_to_num(
        answers.doubtful_test
    )  # of a network that errs alike in both: none
    sure = min(answers.train_score, answers.test_score) >= _SURE
    surprise = _surprise(answers)
    more = f" And their loss is {math.exp(surprise):.1f} times that of test images." if surprise else ""
    value = max(beyond + _SURPRISED * surprise, _IN_BOTH * answers.doubtful if sure else 0.0)
    sentence = (
        f"About {answers.doubtful:.0%} of the training labels look wrong: the network and the five nearest images "
        f"agree on another class.{more}"
    )
    together = _WRONG * _worse_in_training(facts) / _TOGETHER
    doubted = value < _WRONG <= together
    if doubted and data is not None:
        sentence = (
            f"Training labels look wrong: {answers.train_score:.0%} are what the network says, of the test labels "
            f"{answers.test_score:.0%}; {data.neighbours:.0%} and {data.neighbours_test:.0%} are what the nearest "
            "training image has; and a network knows what it learned from better than other images."
        )
    return Measured(
        0.0 if data is not None and data.blank >= _BLANK else together if doubted else value,
        sentence,
        _without_doubtful(facts),
        numbers={"share": answers.doubtful, "share of the test labels": answers.doubtful_test},
        doubted=doubted,
    )


def _worse_in_training(facts: Facts) -> float:
    """How much less than test labels the training labels are what network and neighbours say, in deviations, summed.

    Three differences between the splits: of the network's score, of the share of images whose nearest training image
    has their label, and of the loss, whose deviation over images is about its mean. All are about 0 where labels are as
    good in both, and less where the network remembers its images. 0 where they say nothing: of splits whose classes are
    not as frequent, and of a network that has not learned twice what guessing gives.
    """
    answers, data = known(facts.answers), facts.data
    if data is None or not answers.test_score >= _KNOWS / max(2, answers.classes):
        return 0.0
    of_train, of_test = _shares(data)
    if np.abs(of_train - of_test).sum() / 2 > _ALIKE:
        return 0.0
    count, test_count = (max(1, min(ASKED, each)) for each in (data.images, data.test_images))
    unit = (1 / count + 1 / test_count) ** 0.5

    def apart(train: float, test: float) -> float:
        share = (count * train + test_count * test) / (count + test_count)
        deviation: float = (share * (1 - share)) ** 0.5 * unit
        return (test - train) / deviation if deviation > 0 else 0.0

    losses = answers.train_loss / answers.test_loss if answers.test_loss > 0 else np.nan
    loss = math.log(losses) / unit if 0 < losses < math.inf else 0.0
    return (
        apart(answers.train_score, answers.test_score) + apart(data.neighbours, data.neighbours_test) + loss
    )


def _learned_too_little(facts: Facts) -> str:
    """Where neither witness of wrong labels knows the classes, and nothing is found."""
    answers, data = known(facts.answers), facts.data
    knows = max(answers.train_score, answers.test_score) >= _SURE
    if data is None or knows or max(data.neighbours, data.neighbours_test) > _CLEAR:
        return ""
    if _label_noise(facts).value >= _WRONG:
        return ""
    return "network and nearest images know too little of the classes to tell wrong labels from right ones"


def _surprise(answers: Answers) -> float:
    """How much larger the loss of training images is than that of test images, as a logarithm, from 0 on.

    A network knows what it learned from better than other images, unless the labels there are worse.
    """
    chance = 1 / max(2, answers.classes)
    knows = answers.test_score > _KNOWS * chance and 0 < answers.test_loss < -2 * math.log(chance)
    ratio = answers.train_loss / answers.test_loss if knows else 0.0
    return math.log(ratio) if 1 < ratio < math.inf else 0.0


def _without_doubtful(facts: Facts) -> Fix:
    data, recipe = facts.data, None if facts.settings is None else facts.settings.recipe
    words = "Look through them, the surest first, and correct or drop them"
    if data is None or recipe is None:
        return Fix(f"{words}; label smoothing of 0.1 softens the rest.")
    if data.neighbours_test > _CLEAR:
        change = Change("data", "training images", "all", "those whose neighbours do not contradict")
        return Fix(f"{words}.", (change,), uncontradicted)
    smooth = Change("recipe", "label_smoothing", recipe.label_smoothing, max(0.1, recipe.label_smoothing))
    return Fix(f"{words}; label smoothing softens the rest.", (smooth,) if smooth.old != smooth.new else ())


def uncontradicted(data: Dataset) -> Dataset:
    """Without the training images whose label most of the five nearest images contradict (Wilson 1972)."""
    votes = neighbour_votes(data.train, data.train, len(data.classes))
    return replace(data, train=data.train.take(votes == data.train.labels), extras={})


def _destructive_augmentation(facts: Facts) -> Measured | None:
    data, answers, settings = known(facts.data), known(facts.answers), known(facts.settings)
    recipe = settings.recipe
    if recipe is None or not np.isfinite(answers.augmented_score):
        return None
    value = answers.train_score - answers.augmented_score
    lost = float(np.nan_to_num(1 - data.contrast_left))
    if answers.augmented_score < _COPES:  # of what it could not learn it cannot lose a score
        value = max(value, _DESTRUCTIVE * lost / _LOST)
    old = recipe.augmentation.to_dict()
    large = any(old[name] for name in ("crop_padding", "cutout", "translate"))
    gentle = {**old, "crop_padding": 0, "cutout": 0, "translate": 0, "flip": old["flip"] and large}
    return Measured(
        value,
        f"The augmentation destroys the class: {answers.train_score:.0%} of the training images are named right as "
        f"they are, {answers.augmented_score:.0%} as the recipe changes them, which leaves {1 - lost:.0%} of their "
        "contrast to be seen.",
        Fix(
            "Leave them as they are, and bring the changes back in small steps.",
            (Change("recipe", "augmentation", old, gentle),),
        ),
        "share named right",
        ("as they are", "augmented"),
        np.array([answers.train_score, answers.augmented_score]),
    )


INPUTS = (
    Rule(
        "empty_inputs", "Is there anything to see?", ("data",), _empty_inputs, "share of images of one grey", 0.2,
        _LIMIT,
        "a look at the images",
        ("unnormalised_inputs", "labels_shuffled", "test_inputs_differ", "leakage", "norm_statistics_wrong",
         "dead_units", "constant_outputs", "overfitting", "no_gradient", "idle_branch", "vanishing_gradients"),
    ),
    Rule(
        "values_0_to_255", "Are values as large as bytes?", ("data",), _values_to_255, "deviation of the input", 10.0,
        "bytes have deviations of tens", "a pass over the images", ("unnormalised_inputs",),
    ),
    Rule(
        "unnormalised_inputs", "Is the input normalised?", ("data",), _unnormalised,
        "mean over deviation, or log of the deviation, of a channel", 0.5, _EXACT, "a pass over the images",
    ),
    Rule(
        "channels_swapped", "Are channels in the same order?", ("data",), _channels_swapped,
        "how much nearer another order is, plus what it gains", 0.15, _LIMIT, "a look at the images",
        ("test_inputs_differ",),
    ),
    Rule(
        "test_inputs_differ", "Are test images like training images?", ("data",), _test_inputs_differ,
        "distance of mean and deviation, in deviations", 0.25, _EXACT, "a look at the images",
        ("labels_off_by_one", "overfitting"),
    ),
)  # fmt: skip
LABELS = (
    Rule(
        "labels_shuffled", "Do labels belong to the images?", ("data", "answers"), _labels_shuffled,
        "1 less the agreement above chance", 0.88, "agreement of neighbours is that of chance; " + _LIMIT,
        "a look at the labels", ("label_noise", "overfitting", "underfitting", "leakage"),
    ),
    Rule(
        "labels_off_by_one", "Do both splits count classes alike?", ("data",), _labels_off,
        "agreement gained by renaming the classes", 0.15, _LIMIT, "a look at the labels", ("overfitting",),
    ),
    Rule(
        "leakage", "Are test images new?", ("data",), _leakage, "share of test images seen in training", 0.03,
        "2.5 grey levels of mean difference; " + _LIMIT, "a smaller test",
    ),
    Rule(
        "imbalance", "Are classes of equal size?", ("data",), _imbalance, "most frequent class over the rarest", 8.0,
        "Buda et al. 2018, arXiv:1710.05381: harm from about 10 on", "weights of classes that change little",
        ("overfitting",),
    ),
    Rule(
        "label_noise", "Are labels wrong?", ("answers",), _label_noise,
        "share of labels that the network believes less than a guess, and neighbours contradict too, less that of "
        "the test split, plus 0.4 of the logarithm of how much larger the training images' loss is; or 0.7 of it, "
        "where the network is good; or, where nothing else is found, what scores, losses and neighbours of both splits "
        "say together",
        _WRONG,
        "Northcutt et al. 2021, arXiv:1911.00068, with neighbours as a second witness; " + _LIMIT,
        "a look at some images",
        ("overfitting",),
        _learned_too_little,
    ),
    Rule(
        "destructive_augmentation", "Does augmentation keep the class?", ("settings", "answers", "data"),
        _destructive_augmentation,
        "score lost by augmentation; or half of the share of the images' contrast that it hides, where the network "
        "does not cope",
        _DESTRUCTIVE, _LIMIT, "a little overfitting",
    ),
)  # fmt: skip
