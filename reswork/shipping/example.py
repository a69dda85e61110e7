"""The example that goes with an artefact: a script of twenty lines that needs no reswork."""

from reswork.shipping.engines import Format

_LAST = "inputs.transpose(0, 2, 3, 1)"  # channels last
_LOADS: dict[Format, tuple[str, str, str]] = {  # the package to install, how it is imported, how it answers
    "onnx": (
        "onnxruntime",
        "import onnxruntime",
        'session = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])\n'
        'output = session.run(None, {"images": inputs})[0][0]',
    ),
    "torch": (
        "torch",
        "import torch",
        'model = torch.export.load(here / "model.pt2").module()  # may run code: open only what you trust\n'
        "output = model(torch.from_numpy(inputs)).detach().numpy()[0]",
    ),
    "script": (
        "torch",
        "import torch",
        'sys.path.insert(0, str(here / "script"))\n'
        "from network import ResNet\n"
        "model = ResNet().eval()\n"
        'model.load_state_dict(torch.load(here / "script" / "weights.pt", weights_only=True))\n'
        "output = model(torch.from_numpy(inputs)).detach().numpy()[0]",
    ),
    "keras": (
        "keras and a backend",
        "import importlib.util, os",
        'os.environ.setdefault("KERAS_BACKEND", next(n for n in ("tensorflow", "jax", "torch") '
        "if importlib.util.find_spec(n)))\n"
        "import keras  # which takes TensorFlow where it is told nothing, installed or not\n"
        'model = keras.saving.load_model(here / "model.keras", compile=False)\n'
        f"output = keras.ops.convert_to_numpy(model({_LAST}, training=False))[0]\n"
        "output = np.moveaxis(output, -1, 0)  # channels first again",
    ),
    "tensorflow": (
        "tensorflow",
        "import tensorflow as tf",
        'model = tf.saved_model.load(str(here / "saved_model"))\n'
        f"output = np.moveaxis(model.serve(tf.constant({_LAST})).numpy()[0], -1, 0)",
    ),
    "litert": (
        "ai-edge-litert",
        "from ai_edge_litert.interpreter import Interpreter",
        'model = Interpreter(str(here / "model.tflite"))\n'
        "model.allocate_tensors()\n"
        f'model.set_tensor(model.get_input_details()[0]["index"], np.ascontiguousarray({_LAST}))\n'
        "model.invoke()\n"
        'output = np.moveaxis(model.get_tensor(model.get_output_details()[0]["index"])[0], -1, 0)',
    ),
}
_ANSWERS = {
    "classification": (
        "chances = np.exp(output - output.max()) / np.exp(output - output.max()).sum()\n"
        "for k in chances.argsort()[::-1][:3]:\n"
        "    print(f\"{facts['classes'][k]}: {chances[k]:.4f}\")"
    ),
    "segmentation": (
        "mask = output.argmax(0)  # (H, W), the number of a class for each pixel\n"
        "for k in np.unique(mask):\n"
        "    print(f\"{facts['classes'][k]}: {(mask == k).mean():.4f} of the picture\")"
    ),
    "verification": (
        "print(output.round(4).tolist())\n"
        "print(f\"of one where the dot product of two such rows is at least {facts['threshold']:.4g}\")"
    ),
    "detection": (
        "boxes, scores = output[:, :4] * ([width, height] * 2), output[:, 4:]\n"
        "def same(a, b):  # whether two boxes are around one thing\n"
        "    common = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0).prod()\n"
        "    return common > 0.6 * ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common)\n"
        "found, shown = [], []  # of each class, and of all classes\n"
        "for place, k in zip(*np.unravel_index((-scores).argsort(axis=None, kind='stable')[:100], scores.shape)):\n"
        "    if not any(k == other and same(boxes[place], boxes[at]) for at, other in found):\n"
        "        found.append((place, k))\n"
        "for place, k in found[:50]:\n"
        "    if scores[place, k] >= 0.4 and not any(same(boxes[place], boxes[at]) for at in shown):\n"
        "        shown.append(place)\n"
        "        print(f\"{facts['classes'][k]}: {scores[place, k]:.4f} at {boxes[place].round(2).tolist()}\")"
    ),
    "restoration": (
        "pixels = (output * 255).round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)\n"
        'place = sys.argv[2] if len(sys.argv) > 2 else "answer.png"\n'
        "Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(place)\n"
        'print(f"{place}: {pixels.shape[0]}x{pixels.shape[1]} pixels")'
    ),
    "regression": "for name, value in zip(facts['values'], output):\n    print(f\"{name}: {value:.6g}\")",
    "anomalies": (
        "worst = np.sort(output, axis=None)[-max(1, round(0.05 * output.size)):]\n"
        'told = "an alarm" if worst.mean() > facts["threshold"] else "no alarm"\n'
        'print(f"score {worst.mean():.4g}: {told}; highest at {divmod(int(output.argmax()), output.shape[1])}")'
    ),
}


_READS = {  # what is given on the command line, and how it becomes what goes in, where that is no picture
    "tokens": (
        "a text: python example.py 'some words'",
        "known, length = facts['inputs']['names'], facts['inputs']['shape'][0]\n"
        "if len(sys.argv) > 1:\n"
        "    by_word = any(len(each) > 1 for each in known[2:])\n"
        "    pieces = re.findall(r'\\w+|[^\\w\\s]', sys.argv[1].lower()) if by_word else sys.argv[1]\n"
        "    row = [known.index(each) if each in known else 1 for each in pieces][:length]\n"
        "    inputs = np.float32([row + [0] * (length - len(row))])\n"
        "else:\n"
        "    inputs = np.load(here / 'examples.npz')['pixels'][:1].astype(np.float32)",
    ),
    "other": (
        "numbers (N, ...) in their own unit, of which the first is answered: python example.py inputs.npy",
        "given = np.load(sys.argv[1]) if len(sys.argv) > 1 else np.load(here / 'examples.npz')['pixels']\n"
        "inputs = given[:1].astype(np.float32)",
    ),
}


_WHOLE = """\
image = Image.open(sys.argv[1] if len(sys.argv) > 1 else here / "examples" / "00.png")
assert image.mode[0] not in "IF", "this example reads pictures of 8 bits"
image = ImageOps.exif_transpose(image)
if image.has_transparency_data:
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
image = image.convert("RGB").convert("L" if facts["decoder"]["channels"] == 1 else "RGB")
inputs = (np.asarray(image, np.float32).reshape(*image.size[::-1], -1).transpose(2, 0, 1) / 255)[None]"""


def example_script(format: Format, task_kind: str, input_kind: str = "images") -> str:
    """Source of ``example.py``: a picture's file to an answer, read as the data set's own decoder reads it.

    Of other inputs a text, or a file of numbers.
    """
    package, imported, load = _LOADS[format]
    if task_kind == "restoration":
        told = f"a picture of any size: python example.py small.jpg large.png; needs numpy, pillow, {package}"
        return _script(
            told, "import json, sys", imported, "\nfrom PIL import Image, ImageOps", _WHOLE, load, task_kind
        )
    if input_kind != "images":
        told, read = _READS.get(input_kind, _READS["other"])
        modules = "import json, re, sys" if input_kind == "tokens" else "import json, sys"
        return _script(f"{told}; needs numpy, {package}", modules, imported, "", read, load, task_kind)
    read = """\
(height, width), grey = facts["decoder"]["size"], facts["decoder"]["channels"] == 1
image = Image.open(sys.argv[1] if len(sys.argv) > 1 else here / "examples" / "00.png")
assert image.mode[0] not in "IF", "this example reads pictures of 8 bits"
image.draft(None, (2 * max(height, width), 2 * max(height, width)))  # a large JPEG is decoded at half its size ...
image = ImageOps.exif_transpose(image)
if image.has_transparency_data:
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
image = ImageOps.fit(image.convert("RGB").convert("L" if grey else "RGB"), (width, height), Image.Resampling.BICUBIC)
mean, std = (np.float32(facts["decoder"][name]).reshape(-1, 1, 1) for name in ("mean", "std"))
inputs = ((np.asarray(image, np.float32).reshape(height, width, -1).transpose(2, 0, 1) / 255 - mean) / std)[None]"""
    told = f"a picture: python example.py picture.jpg; needs numpy, pillow, {package}"
    return _script(
        told, "import json, sys", imported, "\nfrom PIL import Image, ImageOps", read, load, task_kind
    )


def _script(told: str, modules: str, imported: str, more: str, read: str, load: str, task_kind: str) -> str:
    answer = _ANSWERS.get(task_kind, "print(output)")
    first, second = sorted((imported, "import numpy as np"), key=lambda line: line.split()[1])
    load = load if more else load.replace('"images"', '"inputs"')
    return f'''"""What the model says about {told}."""
{modules}
from pathlib import Path
{first}
{second}{more}
here = Path(__file__).parent
facts = json.loads((here / "model.json").read_text(encoding="utf-8"))
{read}
{load}
{answer}
'''
