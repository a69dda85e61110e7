"""Detection against torchvision, pycocotools and torchmetrics."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn
from torchmetrics.detection import MeanAveragePrecision
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead
from torchvision.ops import batched_nms, box_iou

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.models.retinanet import anchors
from reswork.tasks import Detection, task_for
from reswork.tasks.average_precision import average_precisions, matched, without_doubles
from reswork.tasks.detection import BoxMeter, Detections, box_losses, detections, places
from reswork.training.evaluation import evaluate
from reswork.training.events import EpochDone, StepDone
from reswork.training.loop import fit
from reswork.training.recipe import Recipe

TASK = Detection()
CLASSES = ("cat", "dog", "cow")
FIXED = {"device": "cpu", "compile": "off", "precision": "fp32", "channels_last": False}


def truths(count: int = 12, size: int = 48, most: int = 5, seed: int = 0) -> Tensor:
    """(N, M, 5), the first image with none; some rows are left over."""
    generator = torch.Generator().manual_seed(seed)
    corner = size * 0.7 * torch.rand((count, most, 2), generator=generator)
    sides = 6 + size * 0.3 * torch.rand((count, most, 2), generator=generator)
    label = torch.randint(len(CLASSES), (count, most, 1), generator=generator).float()
    found = torch.cat([corner, (corner + sides).clamp(max=size), label], 2)
    gone = torch.rand((count, most), generator=generator) < 0.3
    gone[0] = True
    return torch.where(gone.unsqueeze(2), torch.tensor([0.0, 0, 0, 0, -1]), found)


def guesses(targets: Tensor, count: int = 12, seed: int = 1) -> Detections:
    """Boxes about some true ones and others anywhere, the best first; the last ones are none."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(targets.shape[1], (len(targets), count), generator=generator)
    near = targets.gather(1, rows.unsqueeze(2).expand(-1, -1, 5))
    shift = 1.2 * torch.randn((len(targets), count, 4), generator=generator)
    boxes = near[..., :4] + shift + torch.tensor([0.0, 0, 8, 8]) * (near[..., 4:] < 0)
    boxes = torch.cat([boxes[..., :2], torch.maximum(boxes[..., 2:], boxes[..., :2] + 1)], 2)
    wrong = torch.randint(len(CLASSES), (len(targets), count), generator=generator)
    is_wrong = (torch.rand((len(targets), count), generator=generator) < 0.25) | (near[..., 4] < 0)
    scores = torch.rand((len(targets), count), generator=generator).sort(1, descending=True).values
    scores[:, -3:] = 0
    return Detections(boxes, torch.where(is_wrong, wrong, near[..., 4].long()), scores)


def as_coco(found: Detections, targets: Tensor) -> np.ndarray:
    """pycocotools' precisions at 101 recalls, mean over those, (T, K); NaN without a true box."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth, number = COCO(), 0
        truth.dataset = {
            "info": {}, "categories": [{"id": k} for k in range(len(CLASSES))],
            "images": [{"id": n} for n in range(len(targets))], "annotations": [],
        }  # fmt: skip
        for n, of_image in enumerate(targets.double().tolist()):
            for left, top, right, bottom, label in (box for box in of_image if box[4] >= 0):
                number += 1
                size = (right - left, bottom - top)
                truth.dataset["annotations"].append(
                    {"id": number, "image_id": n, "category_id": int(label), "bbox": [left, top, *size],
                     "area": size[0] * size[1], "iscrowd": 0}
                )  # fmt: skip
        truth.createIndex()
        told = []
        for n, (boxes, labels, scores) in enumerate(
            zip(found.boxes.double(), found.labels, found.scores, strict=True)
        ):
            for box, label, score in zip(boxes.tolist(), labels.tolist(), scores.tolist(), strict=True):
                if score > 0:
                    sides = [box[2] - box[0], box[3] - box[1]]
                    told.append(
                        {"image_id": n, "category_id": label, "bbox": [*box[:2], *sides], "score": score}
                    )
        judge = COCOeval(truth, truth.loadRes(told), "bbox")
        judge.evaluate()
        judge.accumulate()
    table = judge.eval["precision"][:, :, :, 0, -1]  # (T, R, K), all areas, 100 boxes
    return np.where(table[:, 0] < 0, np.nan, table.mean(1))


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_pycocotools_and_torchmetrics(seed: int) -> None:
    targets = truths(seed=seed)
    found = guesses(targets, seed=seed + 10)
    meter = BoxMeter(CLASSES)
    for part in (slice(0, 5), slice(5, 12)):
        chosen = Detections(found.boxes[part], found.labels[part], found.scores[part])
        meter.count_boxes(chosen, targets[part])
    expected = as_coco(found, targets)
    np.testing.assert_allclose(meter.precisions().T.numpy(), expected, atol=1e-9)
    metrics, by_class = meter.metrics()
    assert metrics["map"] == pytest.approx(np.nanmean(expected), abs=1e-9) and 0.05 < metrics["map"] < 0.9
    assert by_class == pytest.approx(expected.mean(0), abs=1e-9)
    # its own recalls are in single precision, where 0.3 is above 0.3: with pycocotools' it is pycocotools
    recalls = np.linspace(0, 1, 101).tolist()
    other = MeanAveragePrecision(box_format="xyxy", iou_type="bbox", rec_thresholds=recalls)
    other.update(
        [
            {"boxes": boxes[scores > 0], "labels": labels[scores > 0], "scores": scores[scores > 0]}
            for boxes, labels, scores in zip(found.boxes, found.labels, found.scores, strict=True)
        ],
        [
            {
                "boxes": of_image[of_image[:, 4] >= 0][:, :4],
                "labels": of_image[of_image[:, 4] >= 0][:, 4].long(),
            }
            for of_image in targets
        ],
    )
    judged = other.compute()
    for name in ("map", "map_50", "map_75"):
        assert metrics[name] == pytest.approx(float(judged[name]), abs=1e-6)


def test_double_boxes_go_as_torchvision_lets_them_go() -> None:
    found = guesses(truths(count=6), count=30)
    for most in (0.2, 0.5, 0.8):
        stays = without_doubles(found.boxes, found.labels, most)
        for boxes, labels, own in zip(found.boxes, found.labels, stays, strict=True):
            order = torch.linspace(1, 0, len(boxes))
            expected = torch.zeros_like(own)
            expected[batched_nms(boxes, order, labels, most)] = True
            assert torch.equal(own, expected)


def test_a_class_without_a_true_box_is_left_out_and_nothing_found_is_0() -> None:
    targets = torch.tensor([[[4.0, 4, 12, 12, 0]]])
    none = Detections(torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2))
    meter = BoxMeter(CLASSES)
    meter.count_boxes(none, targets)
    metrics, by_class = meter.metrics()
    assert metrics["map"] == 0 and "ap/dog" not in metrics and np.isnan(by_class[1:]).all()
    exact = Detections(targets[..., :4], torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1))
    meter = BoxMeter(CLASSES)
    meter.count_boxes(exact, targets)
    assert meter.metrics()[0]["map"] == pytest.approx(1)
    hits = matched(exact.boxes.repeat(1, 2, 1), torch.zeros(1, 2), targets)
    assert hits[0, 0].all() and not hits[0, 1].any()  # the second on the same thing is a false one
    found = average_precisions(
        torch.tensor([0.9, 0.8]), torch.zeros(2).long(), hits[0], torch.tensor([2, 0, 0])
    )
    assert found[0].tolist() == pytest.approx([51 / 101] * 10)


def output_for(count: int = 12, rows: int = 12, seed: int = 4) -> Tensor:
    """As a network gives it for images of 48 pixels: distances above 0."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn((count, 5 + len(CLASSES), rows, rows), generator=generator)
    return torch.cat(
        [20 * torch.rand((count, 4, rows, rows), generator=generator) + 0.1, found[:, 4:] - 1], 1
    )


@pytest.mark.parametrize("row", [0, 1, 5])
def test_the_loss_of_an_image_is_torchvisions_fcos(row: int) -> None:
    output, targets = output_for()[row : row + 1], truths()[row : row + 1]
    middles = places(output)
    head = FCOSHead(32, 1, len(CLASSES))

    class OneLevel:
        center_sampling_radius = 1.5
        box_coder = head.box_coder

        def __init__(self) -> None:
            self.head = head

    anchors = [torch.cat([middles - 2, middles + 2], 1)]  # as large as the 4 pixels between two
    there = targets[0][targets[0, :, 4] >= 0]
    answered = output.flatten(2).transpose(1, 2)
    expected = FCOS.compute_loss(
        OneLevel(),  # type: ignore[arg-type]
        [{"boxes": there[:, :4], "labels": there[:, 4].long()}],
        {
            "cls_logits": answered[..., 5:],
            "bbox_regression": answered[..., :4] / 4,
            "bbox_ctrness": answered[..., 4:5],
        },
        anchors,
        [len(middles)],
    )
    assert float(box_losses(output, targets)) == pytest.approx(float(sum(expected.values())), rel=1e-5)
    assert TASK.loss(output, targets, Recipe()).shape == ()


def anchored(count: int = 12, seed: int = 4) -> Tensor:
    """As a RetinaNet gives it for images of 48 pixels."""
    generator = torch.Generator().manual_seed(seed)
    given = anchors([torch.zeros(1, 1, side, side) for side in (12, 6, 3)]).expand(count, -1, -1)
    deltas = torch.randn(given.shape, generator=generator)
    logits = torch.randn((*given.shape[:2], len(CLASSES)), generator=generator) - 1
    return torch.cat([given, given, deltas, logits], 2)


@pytest.mark.parametrize("row", [0, 1, 5])
def test_the_loss_of_an_image_is_torchvisions_retinanet(row: int) -> None:
    output, targets = anchored()[row : row + 1], truths()[row : row + 1]

    class Judge:
        head = RetinaNetHead(16, 9, len(CLASSES))
        proposal_matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
        compute_loss = RetinaNet.compute_loss

    there = targets[0][targets[0, :, 4] >= 0]
    expected = Judge().compute_loss(
        [{"boxes": there[:, :4], "labels": there[:, 4].long()}],
        {"cls_logits": output[..., 12:], "bbox_regression": output[..., 8:12]},
        [output[0, :, 4:8]],
    )
    assert float(box_losses(output, targets)) == pytest.approx(float(sum(expected.values())), rel=1e-5)


@pytest.mark.parametrize("made", [output_for, anchored])
def test_the_parts_of_a_batch_make_the_whole_also_with_weights_of_classes(made: Callable[[], Tensor]) -> None:
    output, targets = made(), truths()
    for weights in (None, torch.tensor([0.5, 1.0, 4.0])):
        whole = TASK.loss(output, targets, Recipe(), weights)
        parts = [
            TASK.loss(output[part], targets[part], Recipe(), weights) * TASK.weight(targets[part], weights)
            for part in (slice(0, 5), slice(5, 12))
        ]
        torch.testing.assert_close(sum(parts) / TASK.weight(targets), whole)
    ones = TASK.loss(output, targets, Recipe(), torch.ones(3))
    torch.testing.assert_close(ones, TASK.loss(output, targets, Recipe()))
    twice = TASK.loss(output, targets, Recipe(), 2 * torch.ones(3))
    torch.testing.assert_close(twice, 2 * ones)


def perfect(targets: Tensor, size: int = 48) -> Tensor:
    """What a network would give that knows the truth."""
    middles = places(torch.zeros(1, 1, size // 4, size // 4))
    output = torch.full((len(targets), 5 + len(CLASSES), len(middles)), -8.0)
    output[:, :4] = 1
    for row, of_image in enumerate(targets):
        for box in sorted(of_image[of_image[:, 4] >= 0], key=lambda box: -float((box[2:4] - box[:2]).prod())):
            inside = (middles > box[:2]).all(1) & (middles < box[2:4]).all(1)
            output[row, :2, inside] = (middles - box[:2])[inside].T
            output[row, 2:4, inside] = (box[2:4] - middles)[inside].T
            output[row, 5:, inside] = -8.0
            output[row, 5 + int(box[4]), inside] = 8.0
            output[row, 4, inside] = 4.0 - (middles - (box[:2] + box[2:4]) / 2)[inside].norm(dim=1) / 4
    return output.view(len(targets), -1, size // 4, size // 4)


def test_a_perfect_output_gives_the_true_boxes_told_in_words() -> None:
    targets = truths(most=2)
    overlap = box_iou(targets[:, 0, :4], targets[:, 1, :4]).diagonal() > 0
    targets[overlap, 1] = torch.tensor([0.0, 0, 0, 0, -1])
    output = perfect(targets)
    answers = TASK.answers(output)
    for of_image, boxes in zip(targets, answers.boxes, strict=True):
        there = of_image[of_image[:, 4] >= 0]
        assert len(boxes) == len(there)
        for box in there:
            assert np.abs(boxes[:, :5] - box.numpy()).max(1).min() < 1e-3
    assert TASK.right(output, targets).all() and not TASK.right(output, targets.flip(0))[1:4].all()
    assert float(TASK.score(output, targets)) > 0.99
    assert answers.told(0, CLASSES) == "nothing"
    assert not answers.differs(TASK.answers(output), 1) and answers.differs(TASK.answers(output.flip(0)), 0)
    words = {answers.told(row, CLASSES) for row in range(1, 12)}
    assert words <= {f"1 {name}" for name in CLASSES} | {f"2 {name}" for name in CLASSES} | {
        f"1 {a}, 1 {b}" for a in CLASSES for b in CLASSES
    } | {"nothing"}


def test_boxes_stay_within_the_image_and_are_at_most_fifty() -> None:
    found = detections(output_for(2, rows=12) + torch.tensor([30.0, 0, 0, 0, 3, 3, 3, 3]).view(1, 8, 1, 1))
    assert found.boxes.shape == (2, 50, 4) and found.boxes.min() >= 0 and found.boxes.max() <= 48
    assert (found.scores.diff(dim=1) <= 0).all()


def test_a_retinanet_learns_and_its_answers_are_its_best_anchors() -> None:
    data = rw.datasets.scattered(train=16, test=8, size=24)
    torch.manual_seed(0)
    model = rw.retinanet(depth=8, width=4, num_classes=6)
    recipe = Recipe(steps=16, batch_size=8, optimizer="adam", learning_rate=0.01, **FIXED)
    events = list(fit(model, data, recipe))
    losses = [float(event.loss) for event in events if isinstance(event, StepDone)]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
    assert isinstance(events[-1], EpochDone) and {"loss", "map"} <= set(events[-1].metrics)
    output = anchored(2)
    found = detections(output)
    scores = output[..., 12:].sigmoid()
    for row in range(2):
        assert float(found.scores[row, 0]) == float(scores[row].max())
        best = int(scores[row].amax(1).argmax())
        assert torch.equal(found.boxes[row, 0], output[row, best, :4])
        kept = batched_nms(output[row, :, :4].repeat(3, 1), scores[row].T.flatten(),
                           torch.arange(3).repeat_interleave(scores.shape[1]), 0.6)[:10]  # fmt: skip
        torch.testing.assert_close(found.scores[row, :10], scores[row].T.flatten()[kept])
    explained = TASK.explained(output)
    torch.testing.assert_close(explained, output[..., 12:].amax(1))


def test_what_is_explained_is_the_logit_of_each_class_where_its_best_box_is() -> None:
    output = output_for(2).requires_grad_()
    found = TASK.explained(output)
    scores = (output[:, 4:5].sigmoid() * output[:, 5:].sigmoid()).flatten(2)
    for row in range(2):
        for k in range(3):
            place = int(scores[row, k].argmax())
            assert found[row, k].item() == output[row, 5 + k].flatten()[place].item()
    held = TASK.explained(output.detach() + 1, output[:1].detach())
    torch.testing.assert_close(held[0], found[0].detach() + 1)
    found[0, 1].backward()
    assert output.grad is not None and output.grad.abs().sum() == 1


def net(seed: int = 0, **settings: object) -> rw.ResNet:
    torch.manual_seed(seed)
    return rw.detector(depth=8, width=8, num_classes=6, **settings)


def test_it_learns_and_accumulates_and_judges_whatever_the_batches() -> None:
    data = rw.datasets.scattered(train=16, test=8, size=24)
    assert task_for(data) == TASK
    settings = {"steps": 2, "batch_size": 8, "learning_rate": 0.01, "optimizer": "sgd", **FIXED}
    runs = []
    for parts in (1, 2):
        torch.manual_seed(0)
        model = net(norm="none", residual_scaling="skipinit")
        events = list(fit(model, data, Recipe(accumulate=parts, **settings)))
        runs.append([float(event.loss) for event in events if isinstance(event, StepDone)])
    assert runs[0] == pytest.approx(runs[1], rel=1e-4)
    model = net()
    augmentation = rw.datasets.Augmentation(flip=True, crop_padding=2)
    recipe = Recipe(
        steps=24, batch_size=8, optimizer="adam", learning_rate=0.01, augmentation=augmentation, **FIXED
    )
    events = list(fit(model, data, recipe))
    losses = [float(event.loss) for event in events if isinstance(event, StepDone)]
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    last = events[-1]
    assert isinstance(last, EpochDone) and {"loss", "map", "map_50", "map_75"} <= set(last.metrics)
    again = evaluate(model, data, batch_size=3)
    assert again is not None and again.metrics == pytest.approx(dict(last.metrics), abs=1e-5)


def test_what_does_not_fit_is_told_in_a_sentence() -> None:
    data = rw.datasets.scattered(train=12, test=6, size=16)
    with pytest.raises(InvalidSetting, match="detection learns from boxes"):
        TASK.check_data(rw.datasets.digits())
    for settings, sentence in (
        ({"mixup": 0.2}, "mixes images"),
        ({"label_smoothing": 0.1}, "exclude each other"),
        ({"augmentation": rw.datasets.Augmentation(translate=2)}, "choose 0"),
    ):
        with pytest.raises(InvalidSetting, match=sentence):
            TASK.check_recipe(Recipe(**settings))
    with pytest.raises(
        InvalidSetting, match=r"build it with rw.detector\(config\) or rw.retinanet"
    ) as refused:
        TASK.check_output(nn.Identity(), torch.zeros(2, 6), data)
    assert "(2, 11, 4, 4)" in refused.value.message
    with pytest.raises(InvalidSetting, match="must return boxes as one tensor"):
        TASK.check_output(nn.Identity(), [], data)
    assert rw.config_for(data, depth=8).label == "Detector on ResNet-8"
