"""The example that goes with an artefact: a script of twenty lines that needs no reswork."""

from reswork.shipping.engines import Format

_LOADS = {
    "onnx": (
        "onnxruntime",
        'session = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])\n'
        'output = session.run(None, {"images": inputs})[0][0]',
    ),
    "torch": (
        "torch",
        'model = torch.export.load(here / "model.pt2").module()  # may run code: open only what you trust\n'
        "output = model(torch.from_numpy(inputs)).detach().numpy()[0]",
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
}


def example_script(format: Format, task_kind: str) -> str:
    """Source of ``example.py``: a picture's file to an answer, read as the data set's own decoder reads it."""
    package, load = _LOADS[format]
    answer = _ANSWERS.get(task_kind, "print(output)")
    first, second = sorted((f"import {package}", "import numpy as np"), key=lambda line: line.split()[1])
    return f'''"""What the model says about a picture: python example.py picture.jpg; needs numpy, pillow, {package}."""
import json, sys
from pathlib import Path
{first}
{second}
from PIL import Image, ImageOps
here = Path(__file__).parent
facts = json.loads((here / "model.json").read_text(encoding="utf-8"))
(height, width), grey = facts["decoder"]["size"], facts["decoder"]["channels"] == 1
image = Image.open(sys.argv[1] if len(sys.argv) > 1 else here / "examples" / "00.png")
assert image.mode[0] not in "IF", "this example reads pictures of 8 bits"
image.draft(None, (2 * max(height, width), 2 * max(height, width)))  # a large JPEG is decoded at half its size ...
image = ImageOps.exif_transpose(image)
if image.has_transparency_data:
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
image = ImageOps.fit(image.convert("RGB").convert("L" if grey else "RGB"), (width, height), Image.Resampling.BICUBIC)
mean, std = (np.float32(facts["decoder"][name]).reshape(-1, 1, 1) for name in ("mean", "std"))
inputs = ((np.asarray(image, np.float32).reshape(height, width, -1).transpose(2, 0, 1) / 255 - mean) / std)[None]
{load}
{answer}
'''
