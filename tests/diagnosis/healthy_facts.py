"""A record in which all is well, to be spoiled in one place at a time."""

from dataclasses import replace
from typing import Any

import numpy as np

from reswork.diagnosis.facts import Answers, Course, DataFacts, Facts, Settings, Signals, Weights
from reswork.models.config import ResNetConfig
from reswork.training.recipe import Recipe

LAYERS = ("conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "fc")
BLOCKS = ("layer1.0", "layer2.0")
NORMS = ("bn1", "layer1.0.bn1", "layer1.0.bn2")
STEPS = np.arange(1, 201)


def facts(**changes: dict[str, Any]) -> Facts:
    """A good training of ten classes; ``course={"loss": ...}`` changes a field of a part."""
    found = Facts(
        Settings(Recipe(steps=200, batch_size=32), ResNetConfig(depth=8, width=8), 200),
        Course(
            classes=10,
            steps=STEPS,
            loss=2.3 * np.exp(-STEPS / 40) + 0.05,
            score=1 - 0.9 * np.exp(-STEPS / 40),
            rates=0.1 * (1 + np.cos(np.linspace(0, np.pi, 64))) / 2,
            test_loss=np.array([1.2, 0.6, 0.3, 0.2]),
            test_score=np.array([0.6, 0.8, 0.93, 0.95]),
            layers=LAYERS,
            gradients=np.full((6, 5), 0.5),
            updates=np.full((6, 5), 0.01),
            norms=np.full((6, 5), 2.0),
        ),
        Weights(
            layers=LAYERS,
            trainable=np.ones(5),
            sizes=np.full(5, 100.0),
            norms=np.full(5, 2.0),
            batch_norms=NORMS,
            untouched=np.zeros(3),
        ),
        Signals(
            layers=LAYERS,
            gradients=np.full(5, 0.1),
            lost=np.zeros(5),
            blocks=BLOCKS,
            dead=np.full(2, 0.02),
            branch=np.array([0.8, 1.2]),
            shortcut=np.array([1.0, 1.0]),
            identity=np.array([1.0, 0.0]),
            norms=NORMS,
            mismatch=np.full(3, 0.1),
        ),
        Answers(
            classes=10,
            train_loss=0.1,
            train_score=0.97,
            test_loss=0.2,
            test_score=0.95,
            training_mode_score=0.97,
            training_mode_loss=0.1,
            confidence=0.93,
            named=np.full(10, 0.1),
            spread=3.0,
            range=8.0,
            low=-9.0,
            high=11.0,
            sum_error=7.0,
            drift=1e-7,
            doubtful=0.005,
            matched_score=0.95,
        ),
        DataFacts(
            classes=10,
            images=1000,
            test_images=500,
            counts=np.full(10, 100.0),
            input_mean=np.zeros(1),
            input_std=np.ones(1),
            test_mean=np.full(1, 0.01),
            test_std=np.ones(1),
            neighbours=0.94,
            neighbours_test=0.93,
            neighbours_matched=0.93,
            mean=(0.3,),
            std=(0.4,),
            true_mean=(0.3,),
            true_std=(0.4,),
        ),
    )
    for part, fields in changes.items():
        found = replace(found, **{part: replace(getattr(found, part), **fields)})
    return found
