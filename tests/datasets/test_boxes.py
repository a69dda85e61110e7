"""Boxes drawn into pictures, written in three formats, read, and found again where the pixels are."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reswork.datasets import Dataset, boxes, load, scattered
from reswork.datasets.dataset import Split
from reswork.datasets.yolo_boxes import class_names
from reswork.errors import InvalidSetting
from tests.datasets.image_files import encoded, write

NAMES = ("cat", "dog")
HEIGHT, WIDTH = 24, 32
DRAWN = [  # left, top, right, bottom, class
    [(2, 3, 12, 9, 0)],
    [(5, 10, 17, 20, 1), (20, 2, 31, 14, 0)],
    [],
    [(0, 0, 8, 6, 1)],
    [(16, 12, 32, 24, 0)],
]


def picture(drawn: list[tuple[int, ...]], height: int = HEIGHT, width: int = WIDTH) -> bytes:
    """White boxes on black."""
    image = np.zeros((height, width, 3), np.uint8)
    for left, top, right, bottom, _ in drawn:
        image[top:bottom, left:right] = 255
    return encoded(image)


def coco(
    root: Path, drawn=DRAWN, change: Callable[[dict], object] = lambda told: None, first: int = 0
) -> None:
    told = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
    }
    for number, of_image in enumerate(drawn, start=first):
        write(root, f"images/{number:03}.png", picture(of_image))
        told["images"].append(
            {"id": number, "file_name": f"{number:03}.png", "height": HEIGHT, "width": WIDTH}
        )
        for left, top, right, bottom, label in of_image:
            told["annotations"].append(
                {"id": len(told["annotations"]), "image_id": number, "category_id": (7, 9)[label],
                 "bbox": [left, top, right - left, bottom - top], "iscrowd": 0}
            )  # fmt: skip
    change(told)
    write(root, "annotations/instances.json", json.dumps(told).encode())


def voc(root: Path, drawn=DRAWN, change: Callable[[str], str] = lambda text: text) -> None:
    for number, of_image in enumerate(drawn):
        write(root, f"JPEGImages/{number:03}.png", picture(of_image))
        things = "".join(
            f"<object><name>{NAMES[label]}</name><difficult>0</difficult><bndbox><xmin>{left + 1}</xmin>"
            f"<ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for left, top, right, bottom, label in of_image
        )
        text = (
            f"<annotation><filename>{number:03}.png</filename><size><width>{WIDTH}</width><height>{HEIGHT}</height>"
            f"</size>{things}</annotation>"
        )
        write(root, f"Annotations/{number:03}.xml", (change(text) if number == 1 else text).encode())


def yolo(root: Path, drawn=DRAWN, change: Callable[[str], str] = lambda text: text) -> None:
    for number, of_image in enumerate(drawn):
        write(root, f"images/{number:03}.png", picture(of_image))
        lines = [
            f"{label} {(left + right) / 2 / WIDTH} {(top + bottom) / 2 / HEIGHT} {(right - left) / WIDTH} "
            f"{(bottom - top) / HEIGHT}"
            for left, top, right, bottom, label in of_image
        ]
        text = "\n".join(lines)
        write(root, f"labels/{number:03}.txt", (change(text) if number == 1 else text).encode())
    write(root, "data.yaml", b"path: .\nnames:\n  0: cat\n  1: 'dog' # barks\nnc: 2\n")


def found_boxes(data: Dataset) -> list[list[tuple[float, ...]]]:
    """Of every image, in the order of the files."""
    found = {}
    for split in (data.train, data.test):
        for image, of_image in zip(split.images, split.boxes, strict=True):
            found[image.numpy().tobytes()] = sorted(tuple(box) for box in of_image.tolist() if box[4] >= 0)
    return list(found.values())


@pytest.mark.parametrize("write_it", [coco, voc, yolo])
def test_three_formats_give_the_boxes_that_were_drawn(write_it, tmp_path: Path) -> None:
    write_it(tmp_path)
    data = load(tmp_path)
    assert data.target_kind == "boxes" and data.classes == NAMES and data.input_shape == (3, HEIGHT, WIDTH)
    assert (len(data.train), len(data.test)) == (4, 1) or (len(data.train), len(data.test)) == (3, 2)
    for split in (data.train, data.test):
        for image, of_image in zip(split.images, split.boxes, strict=True):
            covered = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
            for left, top, right, bottom, _ in (
                box for box in of_image.round().int().tolist() if box[4] >= 0
            ):
                covered[top:bottom, left:right] = True
            assert torch.equal(image[0] > 128, covered)
    assert sorted(map(len, found_boxes(data))) == [0, 1, 1, 1, 2]
    expected = sorted(tuple(map(float, box)) for of_image in DRAWN for box in of_image)
    np.testing.assert_allclose(
        sorted(box for of_image in found_boxes(data) for box in of_image), expected, atol=1e-4
    )
    assert data.class_counts("train").sum() + data.class_counts("test").sum() == 5
    assert not data.skipped, data.skipped


def test_splits_are_those_of_files_folders_and_lists(tmp_path: Path) -> None:
    for split, first in (("train", 0), ("valid", 10)):
        root = tmp_path / "by_folder" / split
        coco(root, DRAWN[:2], first=first)
    data = boxes(tmp_path / "by_folder")
    assert (len(data.train), len(data.test)) == (2, 2) and not any("Set aside" in note for note in data.notes)
    voc(tmp_path / "by_list")
    write(tmp_path / "by_list", "ImageSets/Main/train.txt", b"000\n001\n002\n003\n")
    write(tmp_path / "by_list", "ImageSets/Main/val.txt", b"004\n")
    data = boxes(tmp_path / "by_list")
    assert len(data.test) == 1 and data.test.boxes[0, 0].tolist() == [16, 12, 32, 24, 0]


@pytest.mark.parametrize(
    ("size", "lost"), [((12, 16), False), ((48, 64), False), ((24, 24), True), ((20, 44), True)]
)
def test_boxes_follow_their_images_when_those_are_scaled_and_cut(size, lost, tmp_path: Path) -> None:
    yolo(tmp_path, [[(4, 6, 16, 18, 0)], [(14, 2, 28, 20, 0)], [(27, 20, 32, 24, 0)]])
    data = boxes(tmp_path, size=size)
    assert data.input_shape == (3, *size)
    seen = 0
    for split in (data.train, data.test):
        for image, of_image in zip(split.images, split.boxes, strict=True):
            bright = (image[0] > 128).nonzero()
            there = of_image[of_image[:, 4] >= 0]
            seen += len(there)
            if len(there):
                edges = [*bright.amin(0).flip(0).tolist(), *(bright.amax(0).flip(0) + 1).tolist()]
                assert there[0, :4].tolist() == pytest.approx(edges, abs=1.1)
    assert seen == (2 if lost else 3)
    assert any("cut to size" in note for note in data.notes) == lost


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def set_box(values: object) -> Callable[[dict], object]:
    return lambda told: told["annotations"][0].update(bbox=values)


BROKEN_COCO = {
    "outside": (set_box([40, 3, 10, 6]), "lies outside of its 32x24 pixels"),
    "negative width": (set_box([12, 3, -10, 6]), "box 1 is -10 wide"),
    "three numbers": (set_box([2, 3, 10]), "four numbers are needed"),
    "not finite": (set_box([2, 3, float("nan"), 6]), "no finite number"),
    "unknown class": (lambda told: told["annotations"][0].update(category_id=8), "unknown category_id 8"),
    "missing image": (
        lambda told: told["images"][0].update(file_name="gone.png"),
        "gone.png: the image is missing",
    ),
    "another size": (lambda told: told["images"][0].update(width=64), "drawn on 24x64 pixels"),
}
BROKEN_VOC = {
    "outside": (replaced("<xmin>21<", "<xmin>-90<"), "lies outside"),
    "negative width": (replaced("<xmin>21<", "<xmin>61<"), "wide"),
    "no number": (replaced("<xmin>21<", "<xmin>left<"), "xmin='left', which is no number"),
    "no box": (replaced("bndbox", "polygon"), "object 1 has no bndbox"),
    "no edge": (replaced("ymax", "bottom"), "object 1 has no ymax"),
    "no name": (replaced("<name>cat</name>", ""), "object 2 has no name"),
    "no XML": (lambda text: text[:60], "no XML that can be read"),
    "entities": (lambda text: '<!DOCTYPE a [<!ENTITY b "c">]>' + text, "defines entities"),
    "another form": (lambda text: "<html></html>", "outermost part is <html>"),
}
BROKEN_YOLO = {
    "over 1": (lambda text: "0 16 12 8 6", "parts of width and height, 0 to 1"),
    "unknown class": (lambda text: "2 0.5 0.5 0.2 0.2", "unknown class 2: 0 to 1 have names"),
    "class no whole number": (lambda text: "nan 0.5 0.5 0.2 0.2", "unknown class nan"),
    "four numbers": (lambda text: "0 0.5 0.5 0.2", "line 1 has 4 numbers"),
    "words": (lambda text: "cat 0.5 0.5 0.2 0.2", "which are no numbers"),
    "no width": (lambda text: "0 0.5 0.5 0 0.2", "box 1 is 0 wide"),
    "outside": (lambda text: "0 1 1 1 1", "lies outside"),
}
BROKEN = [
    pytest.param(write_it, change, told, id=f"{write_it.__name__}, {name}")
    for write_it, cases in ((coco, BROKEN_COCO), (voc, BROKEN_VOC), (yolo, BROKEN_YOLO))
    for name, (change, told) in cases.items()
]


@pytest.mark.parametrize(("write_it", "change", "told"), BROKEN)
def test_an_image_with_a_box_that_cannot_be_is_left_out_with_its_reason(
    write_it, change, told, tmp_path
) -> None:
    write_it(tmp_path, change=change)
    data = boxes(tmp_path)
    assert len(data.skipped) == 1 and told in str(data.skipped[0]), data.skipped
    assert len(data.train) + len(data.test) == 4


def test_what_cannot_be_read_at_all_is_one_sentence(tmp_path: Path) -> None:
    def refused(sentence: str, root: Path, **settings: object) -> None:
        with pytest.raises(InvalidSetting) as caught:
            boxes(root, **settings)  # type: ignore[arg-type]
        assert sentence in caught.value.message and "\n" not in caught.value.message, caught.value.message

    for number, (content, sentence) in enumerate(
        (
            (b'{"images": [', "is no JSON that can be read"),
            (b"[1, 2]", "holds a list"),
            (b'{"images": [], "annotations": []}', "no list of objects called 'categories'"),
            (
                b'{"images": [{"id": "a"}], "annotations": [], "categories": []}',
                "has id='a'; give a whole number",
            ),
            (b'{"images": [], "annotations": [], "categories": [{"id": 1}]}', "category 1 has no name"),
            (b'{"images": [], "annotations": [], "categories": []}', "no image has boxes that can be used"),
        )
    ):
        root = tmp_path / str(number)
        write(root, "images/000.png", picture([]))
        write(root, "boxes.json", content)
        refused(sentence, root)
    empty = tmp_path / "empty"
    write(empty, "images/000.png", picture([]))
    refused("no boxes lie in empty", empty)
    refused("format='voc' needs XML files", empty, format="voc")
    refused("choose 'coco', 'voc', 'yolo' or None", empty, format="csv")
    yolo(empty)
    voc(empty)
    refused("holds files of voc and yolo: say which with format='voc'", empty)
    with pytest.raises(InvalidSetting, match="one file"):
        boxes(empty / "data.yaml")
    alone = tmp_path / "alone"
    yolo(alone, [[], []])
    refused("no training image has a box", alone)


def test_crowds_difficult_things_and_boxes_over_the_edge_are_told(tmp_path: Path) -> None:
    def change(told: dict) -> None:
        told["annotations"][0]["iscrowd"] = 1
        told["annotations"][1]["bbox"] = [-2, 10, 19, 10]
        told["annotations"].append({"id": 99, "image_id": 555, "category_id": 7, "bbox": [1, 1, 2, 2]})

    coco(tmp_path / "coco", change=change)
    notes = " ".join(boxes(tmp_path / "coco").notes)
    assert "1 boxes around crowds" in notes and "1 boxes reached over the edge" in notes
    assert "1 boxes of annotations/instances.json belong to no image" in notes
    voc(tmp_path / "voc", change=replaced("<difficult>0</difficult>", "<difficult>1</difficult>"))
    data = boxes(tmp_path / "voc")
    assert any("2 boxes that are marked as difficult" in note for note in data.notes)
    assert data.class_counts("train").sum() + data.class_counts("test").sum() == 3


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("data.yaml", "names: ['a b', \"c\", d]\nnc: 3", ["a b", "c", "d"]),
        ("data.yaml", "names: {0: a, 1: 'b'}", ["a", "b"]),
        ("data.yaml", "nc: 2\nnames:\n- a\n- b\nval: x", ["a", "b"]),
        ("classes.txt", "a\nb c\n\n", ["a", "b c"]),
    ],
)
def test_names_of_classes_in_yolos_files(name: str, content: str, expected: list[str]) -> None:
    assert class_names(name, content.encode()) == expected


def test_targets_that_are_no_boxes_are_refused() -> None:
    data = scattered(train=12, test=6, size=16)
    assert data.train.boxes.shape == (12, 4, 5) and "boxes in each" in data.summary()
    assert "boxes of 6 classes" in repr(data) and data.fingerprint == scattered(12, 6, 16).fingerprint
    row, place = (data.train.boxes[..., 4] >= 0).nonzero()[0].tolist()
    for edge, value, sentence in (
        (2, -3.0, "is empty"), (4, 6.0, "classes have the numbers 0 to 5"), (1, float("nan"), "missing or infinite"),
    ):  # fmt: skip
        changed = data.train.boxes.clone()
        changed[row, place, edge] = value
        with pytest.raises(InvalidSetting, match=sentence):
            Dataset("x", Split(data.train.images, changed), data.test, data.classes, data.mean, data.std, "")
    with pytest.raises(InvalidSetting, match="no image of the train split has a box"):
        nothing = torch.full_like(data.train.boxes, -1)
        Dataset("x", Split(data.train.images, nothing), data.test, data.classes, data.mean, data.std, "")
