"""What a file is that somebody took for a checkpoint, told by its first bytes or by what lies in its archive."""

import zipfile
from pathlib import Path

from reswork.store.atomic_files import open_regular

_EXPORT = "export the weights where the model can be built: torch.save(model.state_dict(), 'weights.pt')"
_DOWNLOAD = "the download did not give the file itself; get it anew, with a browser or the program that its site names"

# first bytes -> what it is, what to do
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, three lines of text in place of the file",
        "run 'git lfs pull' in its repository",
    ),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and h5py write it", "convert it where Keras is installed"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (b"GGUF", "a GGUF file of quantised weights", "take the weights in PyTorch's or safetensors' form"),
    (b"\x93NUMPY", "one NumPy array", "give the arrays of all layers, as tensors in a dict"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", "give the path of the weights"),
    (b"\xff\xd8\xff", "a JPEG image", "give the path of the weights"),
    (b"%PDF", "a PDF document", "give the path of the weights"),
)


def kind_of_file(path: Path) -> str | None:
    """A sentence about a file that is no checkpoint of PyTorch, with what to do; None where it may be one.

    Raises:
        OSError: where it cannot be read.
    """
    with open_regular(path) as fileno, open(fileno, "rb", closefd=False) as file:
        head = file.read(512)
        if head[:2] == b"PK":
            return _kind_of_archive(path)
    for beginning, what, remedy in _BEGINNINGS:
        if head.startswith(beginning):
            return f"{path.name!r} is {what}, no checkpoint; {remedy}"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return f"{path.name!r} is a web page, no checkpoint; {_DOWNLOAD}"
    if text.startswith((b'{"', b"{\n", b"{\r", b"[{")) and head[8:9] != b"{":
        return f"{path.name!r} is a text in JSON, no checkpoint; give the file with the weights"
    if _is_onnx(path, head):
        return f"{path.name!r} is an ONNX graph, no checkpoint; {_EXPORT}"
    if head[257:262] == b"ustar":
        return f"{path.name!r} is a tar archive, no checkpoint; unpack it first"
    return None


def _is_onnx(path: Path, head: bytes) -> bool:
    """Protocol buffers have no mark of their own: field 1 is a small version, then comes who wrote it."""
    producer = any(
        each in head[:80].lower() for each in (b"pytorch", b"onnx", b"tf2onnx", b"keras2onnx", b"paddle")
    )
    return head[:1] == b"\x08" and (producer or path.suffix.lower() == ".onnx")


def _kind_of_archive(path: Path) -> str | None:
    """The same for a zip file, which PyTorch's own checkpoints are too."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None  # truncated: torch says so
    ends = {name.partition("/")[2] for name in names} | set(names)
    if "constants.pkl" in ends and any(name.startswith("code/") for name in ends):
        return f"{path.name!r} is a TorchScript program, which carries code; load it with torch.jit.load and {_EXPORT}"
    if "archive_format" in ends or any(name.endswith("serialized_exported_program.json") for name in ends):
        return f"{path.name!r} is a program of torch.export; load it with torch.export.load and save its .state_dict"
    if "data.pkl" in ends:
        return None
    if "model.weights.h5" in ends:
        return (
            f"{path.name!r} is a Keras model, no checkpoint of PyTorch; convert it where Keras is installed"
        )
    if names and all(name.endswith(".npy") for name in names):
        return (
            f"{path.name!r} holds NumPy arrays, no checkpoint of PyTorch; make tensors of them and save those: "
            "torch.save({name: torch.from_numpy(array) for ...}, 'weights.pt')"
        )
    shown = ", ".join(map(repr, names[:3])) or "nothing"
    return f"{path.name!r} is a zip archive with {shown} in it, no checkpoint; unpack it and give the file with weights"
