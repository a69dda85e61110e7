"""Names in a zip archive that were not written as UTF-8: in which encoding they were."""

import re
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence

from reswork.errors import InvalidSetting

UTF8_FLAG = 0x800
WESTERN = ("cp437", "cp1252")
LETTERS_OF_WESTERN = (
    0.6  # part of a name that is plain ASCII where its accents were written by a Western system
)
KOREAN_CHARACTERS = 6  # so many in the Hangul rows of EUC-KR are hardly a coincidence


def raw_name(entry: zipfile.ZipInfo) -> bytes | None:
    """The very bytes of a name that is neither ASCII nor marked as UTF-8; else None."""
    if entry.flag_bits & UTF8_FLAG or entry.filename.isascii():
        return None
    try:
        return entry.filename.encode("cp437")  # what Python took them for
    except UnicodeEncodeError:
        return None  # given by an extra field, in UTF-8


def check_encoding(encoding: str | None) -> None:
    """Refuse what is no encoding.

    Raises:
        InvalidSetting: no encoding that Python knows.
    """
    try:
        "".encode(encoding or "utf-8")
    except LookupError as error:
        raise InvalidSetting(
            "encoding", f"encoding={encoding!r} is not known; such are 'gbk', 'cp932' (Japanese), 'cp949' (Korean), "
            "'big5', 'cp866' (Russian), 'cp437' and 'cp1252'",
        ) from error  # fmt: skip


def encoding_of(names: Iterable[bytes]) -> str:
    """The encoding that fits all of these names best; cp437 where none does.

    UTF-8 is certain. The others are told apart by how often their commonest letters occur: Western letters among
    ASCII, words of Cyrillic letters, and the rows of the common characters of Chinese, Korean and Japanese.
    """
    parts = sorted({part for name in names for part in re.split(rb"[/\\]", name) if not part.isascii()})
    if _all(parts, "utf-8"):
        return "utf-8"
    for encoding in WESTERN:
        words = _all(parts, encoding)
        if words and all(_is_western(word) for word in words):
            return encoding
    for encoding in ("cp866", "cp1251"):
        if _is_cyrillic(_all(parts, encoding)):
            return encoding
    return _asian(parts) or "cp437"


def _all(parts: Sequence[bytes], encoding: str) -> list[str]:
    """All parts decoded, or nothing."""
    try:
        return [part.decode(encoding) for part in parts]
    except UnicodeDecodeError:
        return []


def _is_western(word: str) -> bool:
    letters = [sign for sign in word if not sign.isascii()]
    is_latin = all(
        unicodedata.name(sign, "").startswith("LATIN SMALL LETTER") or sign in "ÄÖÜÉÑÅÆÇ" for sign in letters
    )
    plain = sum(sign.isascii() and sign.isalpha() for sign in word)
    return is_latin and plain >= LETTERS_OF_WESTERN * sum(sign.isalpha() for sign in word)


def _is_cyrillic(words: Sequence[str]) -> bool:
    """Words of at least three letters on average, in small letters but for the first or in capitals throughout."""
    found = [run for word in words for run in re.findall(r"[^\W\d_]+", word) if not run.isascii()]
    is_word = re.compile(r"[А-ЯЁ]?[а-яё]+|[А-ЯЁ]+")
    others = any(not (sign.isascii() or sign.isalpha()) for word in words for sign in word)
    return (
        bool(found)
        and not others
        and all(is_word.fullmatch(run) for run in found)
        and sum(map(len, found)) >= 3 * len(found)
    )


def _asian(parts: Sequence[bytes]) -> str:
    characters = "".join(_all(parts, "gb2312"))
    rows = [sign.encode("gb2312")[0] for sign in characters if not sign.isascii()]
    if rows and 2 * sum(0xB0 <= row <= 0xD7 for row in rows) >= len(rows):  # the commonest characters
        korean = len(rows) >= KOREAN_CHARACTERS and all(0xB0 <= row <= 0xC8 for row in rows)
        return "cp949" if korean else "gbk"
    shares = {
        "cp932": _share("".join(_all(parts, "cp932")), "cp932", 0x88, 0x97),
        "big5": _share("".join(_all(parts, "big5")), "big5", 0xA4, 0xC6),
        "gbk": _share("".join(_all(parts, "gbk")), "gbk", 0xB0, 0xD7),
        "cp949": _share("".join(_all(parts, "cp949")), "cp949", 0xB0, 0xC8),
    }
    best = max(shares, key=lambda encoding: shares[encoding])
    return best if shares[best] >= 0.5 else ""


def _share(text: str, encoding: str, first: int, last: int) -> float:
    """Part of the characters beyond ASCII that lie in the rows of the common ones, or are kana in Japanese."""
    beyond = [sign for sign in text if not sign.isascii()]
    common = sum(
        first <= sign.encode(encoding)[0] <= last or (encoding == "cp932" and "\u3040" <= sign <= "\u30ff")
        for sign in beyond
    )
    return common / len(beyond) if beyond else 0.0
