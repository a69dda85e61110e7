"""From the numbers or colours that masks hold to numbers of classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reswork.datasets.targets import IGNORED, MOST_MASK_CLASSES
from reswork.errors import InvalidSetting

Colour = tuple[int, int, int] | str  # red, green and blue, 0 to 255, or "#rrggbb"
Classes = Sequence[str] | Mapping[str, int | Colour]

MOST_FOUND = 64  # different values in one mask, where nobody has said which there are
RARE = 2e-3  # part of all pixels; where most values are rarer, and yet many are in each mask, they are noise
NO_CODE = -1
_OBJECT = 1  # the class of objects, where each has a number of its own


@dataclass(frozen=True)
class RawMask:
    """One mask as its file has it: a small table of values, and which of them each pixel has.

    Args:
        name: of the file, for errors.
        places: in the tables, uint8, (H, W).
        numbers: int64, (values,); `NO_CODE` for a colour that is no grey.
        colours: 0xRRGGBB, int64, (values,); `NO_CODE` for a number that is no grey of 8 bits.
        has_palette: whether the numbers are places in a palette of colours.
    """

    name: str
    places: np.ndarray
    numbers: np.ndarray
    colours: np.ndarray
    has_palette: bool = False


@dataclass
class MaskKey:
    """Which number or colour means which class.

    Args:
        by_colour: whether `classes_of` has colours, not numbers.
        names: of the classes.
        classes_of: number of the class, or `IGNORED`, for each value.
        notes: sentences about what was understood.
        between: whether pixels where two objects touch are a class of their own, the third.
    """

    by_colour: bool
    names: tuple[str, ...]
    classes_of: dict[int, int]
    notes: list[str] = field(default_factory=list)
    between: bool = False

    def applied(self, mask: RawMask) -> np.ndarray:
        """Numbers of classes, uint8, (H, W).

        Raises:
            InvalidSetting: the mask holds a value of no class.
        """
        table = np.full(256, IGNORED, np.uint8)
        for index, value in enumerate(_values(mask, self.by_colour)):
            if value not in self.classes_of:
                known = _words(list(self.classes_of), self.by_colour)
                raise InvalidSetting(
                    "classes",
                    f"{mask.name} holds {_word(int(value), self.by_colour)}, which is none of the classes' "
                    f"{'colours' if self.by_colour else 'numbers'} ({known}): add it to classes, or name it "
                    "as ignored",
                )
            table[index] = self.classes_of[value]
        found = table[mask.places]
        if self.between:
            found[_touching(mask.places, found == _OBJECT)] = _OBJECT + 1
        return found


def key_of(
    masks: Sequence[RawMask],
    classes: Classes | None,
    ignored: int | Colour | None,
    *,
    instances: bool = False,
) -> MaskKey:
    """What the values of these masks mean.

    Args:
        masks: all of them, training and test.
        classes: names in the order of the numbers; or for each name its number or colour; None: every value that is
            found is a class.
        ignored: the number or colour that counts nowhere; None: 255, if there are other numbers than 0 and 255.
        instances: every number or colour but 0 and black is an object of its own, all of one class.

    Raises:
        InvalidSetting: settings that do not fit together or to the masks, noise, too many classes.
    """
    if instances:
        return _key_of_objects(masks, classes, ignored)
    by_colour = _is_by_colour(masks, classes, ignored)
    wanted = _wanted(classes)
    left_out = None if ignored is None else _code(ignored)
    found: Counter[int] = Counter()
    for mask in masks:
        counts = np.bincount(mask.places.ravel(), minlength=len(mask.numbers))
        for value, count in zip(_values(mask, by_colour).tolist(), counts.tolist(), strict=True):
            found[value] += count
    is_binary = not by_colour and ignored is None and set(found) == {0, 255}
    if left_out is None and not by_colour and not is_binary and IGNORED not in (wanted or {}).values():
        left_out = IGNORED
    rest = {} if left_out is None else {left_out: IGNORED}
    values = sorted(value for value in found if value != left_out)
    if isinstance(classes, Mapping):
        names = tuple(str(name) for name in classes)
        assert wanted is not None
        return MaskKey(by_colour, names, {value: n for n, value in enumerate(wanted.values())} | rest)
    if classes is not None:
        return _named(tuple(str(name) for name in classes), by_colour, is_binary, values, rest)
    _refuse_noise(found, values, float(np.median([len(mask.numbers) for mask in masks])), by_colour)
    key = MaskKey(by_colour, (), {value: n for n, value in enumerate(values)} | rest)
    if is_binary:
        key.names = ("background", "foreground")
        key.notes.append("The masks hold 0 and 255 only: background and foreground.")
    else:
        key.names = tuple(_word(value, by_colour) for value in values)
        if by_colour or values != list(range(len(values))):
            what = "colours" if by_colour else "numbers"
            key.notes.append(
                f"The masks hold the {what} {_words(values, by_colour)}, which became the classes 0 to "
                f"{len(values) - 1}."
            )
    if left_out is not None and left_out in found:
        key.notes.append(f"Pixels with {_word(left_out, by_colour)} are ignored.")
    return key


def _key_of_objects(
    masks: Sequence[RawMask], classes: Classes | None, ignored: int | Colour | None
) -> MaskKey:
    """Background, object, and between objects where some touch, so that they can be counted apart again."""
    if isinstance(classes, Mapping) or (classes is not None and len(classes) not in (2, 3)):
        raise InvalidSetting(
            "classes", "with instances=True give two or three names: background, object, between objects"
        )
    by_colour = _is_by_colour(masks, None, ignored)
    rest = {} if ignored is None else {_code(ignored): IGNORED}
    found = {int(value) for mask in masks for value in _values(mask, by_colour)} - rest.keys() - {0}
    key = MaskKey(by_colour, (), {0: 0} | dict.fromkeys(found, _OBJECT) | rest)
    touch = any(_touching(mask.places, key.applied(mask) == _OBJECT).any() for mask in masks)
    key.names = tuple(map(str, classes or ("background", "object", "between objects")[: 2 + touch]))
    key.between = len(key.names) == _OBJECT + 2
    counts = [len({int(value) for value in _values(mask, by_colour)} - rest.keys() - {0}) for mask in masks]
    key.notes.append(
        f"{sum(counts):,} objects in {len(masks):,} masks, {min(counts)} to {max(counts)} in one"
        + ("; pixels where two touch are a class of their own." if key.between else ".")
    )
    return key


def _touching(numbers: np.ndarray, is_object: np.ndarray) -> np.ndarray:
    """Pixels of objects that have a pixel of another object beside them, also across a corner, bool, (H, W)."""
    found = np.zeros(numbers.shape, bool)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = slice(0, len(numbers) - down), slice(max(0, -right), numbers.shape[1] - max(0, right))
        two = slice(down, len(numbers)), slice(max(0, right), numbers.shape[1] - max(0, -right))
        touch = (numbers[one] != numbers[two]) & is_object[one] & is_object[two]
        found[one] |= touch
        found[two] |= touch
    return found


def _named(
    names: tuple[str, ...], by_colour: bool, is_binary: bool, values: list[int], rest: dict[int, int]
) -> MaskKey:
    """Names in the order of the numbers."""
    if by_colour:
        raise InvalidSetting(
            "classes",
            f"the masks are coloured ({_words(values, True)}): say which colour each class has, such as "
            f"classes={{{(names or ('cat',))[0]!r}: {_word(values[0], True)!r}, ...}}",
        )
    if is_binary and len(names) == 2:
        return MaskKey(False, names, {0: 0, 255: 1})
    return MaskKey(False, names, {number: number for number in range(len(names))} | rest)


def _is_by_colour(masks: Sequence[RawMask], classes: Classes | None, ignored: int | Colour | None) -> bool:
    """Whether colours mean classes: as the settings have it, else where numbers alone can't."""
    given = list(classes.values()) if isinstance(classes, Mapping) else []
    given += [] if ignored is None else [ignored]
    kinds = {not isinstance(value, int) for value in given}
    if len(kinds) > 1:
        raise InvalidSetting("classes", "some classes (or ignored) are numbers, some colours: give all alike")
    are_numbers = all((mask.numbers != NO_CODE).all() for mask in masks) and _one_palette(masks)
    if not kinds:
        return not are_numbers
    by_colour = kinds.pop()
    for mask in masks:
        if (_values(mask, by_colour) == NO_CODE).any():
            has, lacks = ("numbers above 255", "colours") if by_colour else ("colours", "numbers")
            raise InvalidSetting("classes", f"{mask.name} holds {has}: give the classes' {has}, not {lacks}")
    return by_colour


def _one_palette(masks: Sequence[RawMask]) -> bool:
    """Whether a number has the same colour in every palette; else only the colours can be meant."""
    seen: dict[int, int] = {}
    for mask in masks:
        if mask.has_palette:
            for number, colour in zip(mask.numbers.tolist(), mask.colours.tolist(), strict=True):
                if seen.setdefault(number, colour) != colour:
                    return False
    return True


def _refuse_noise(found: Counter[int], values: list[int], in_one: float, by_colour: bool) -> None:
    what = "colours" if by_colour else "numbers"
    pixels = sum(found.values())
    rare = sum(found[value] < RARE * pixels for value in values)
    counted = values == list(range(len(values)))  # 0, 1, 2 ...: somebody has numbered classes
    if len(values) > 12 and rare > len(values) / 2 and in_one > len(values) / 4 and not counted:
        raise InvalidSetting(
            "masks",
            f"the masks hold {len(values)} different {what}, {rare} of them in less than {RARE:.1%} of the pixels: "
            "noise, as from JPEG compression or soft edges; save masks without it, as PNG, or name the "
            "classes with classes=",
        )
    if len(values) > MOST_MASK_CLASSES:
        raise InvalidSetting(
            "masks",
            f"the masks hold {len(values):,} different {what}: at most {MOST_MASK_CLASSES} can be classes (are those "
            "numbers of single objects? Then give instances=True)",
        )


def _values(mask: RawMask, by_colour: bool) -> np.ndarray:
    return mask.colours if by_colour else mask.numbers


def _wanted(classes: Classes | None) -> dict[str, int] | None:
    """Number or colour of each class, where they were given."""
    if not isinstance(classes, Mapping):
        return None
    wanted = {str(name): _code(value) for name, value in classes.items()}
    if len(set(wanted.values())) < len(wanted):
        raise InvalidSetting("classes", "two classes have the same number or colour: give each its own")
    return wanted


def _code(value: int | Colour) -> int:
    """A number as it is, a colour as 0xRRGGBB."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) == 7 and value[0] == "#":
        try:
            return int(value[1:], 16)
        except ValueError:
            pass
    elif isinstance(value, tuple | list) and len(value) == 3 and all(0 <= int(part) <= 255 for part in value):
        red, green, blue = (int(part) for part in value)
        return red << 16 | green << 8 | blue
    raise InvalidSetting(
        "classes", f"{value!r} is neither a number nor a colour: give 7, (255, 0, 0) or '#ff0000'"
    )


def _word(value: int, by_colour: bool) -> str:
    return f"#{value:06x}" if by_colour else str(value)


def _words(values: Sequence[int], by_colour: bool) -> str:
    words = ", ".join(_word(value, by_colour) for value in values[:12])
    return f"{words} ... {_word(values[-1], by_colour)}" if len(values) > 12 else words
