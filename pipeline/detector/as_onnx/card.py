"""The text beside an exported detector: what goes in and comes out, and how it is asked from Python and JavaScript."""

from typing import Any

from pipeline.runtime.text.user_text import markdown_text

PYTHON = """\
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

with open("{stem}.json") as file:
    about = json.load(file)
session = onnxruntime.InferenceSession("{stem}.onnx")


def ask(path):
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    pixels = np.asarray(picture)[None]  # (1, h, w, 3) uint8, of any size
    label, probabilities, score, is_outlier = session.run(None, {{"pixels": pixels}})
    name = about["class_names"][label[0]]
    return name, float(probabilities[0].max()), float(score[0]), bool(is_outlier[0])


print(ask("photo.png"))"""
JAVASCRIPT = """\
import * as ort from "onnxruntime-web";

const about = await (await fetch("{stem}.json")).json();
const session = await ort.InferenceSession.create("{stem}.onnx");

export async function ask(image) {{ // an <img>, a <canvas> or an ImageBitmap
  const {{ width, height }} = image;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.fillStyle = "white"; // under transparent pixels
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) rgb.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
  const answers = await session.run({{ pixels: new ort.Tensor("uint8", rgb, [1, height, width, 3]) }});
  const name = about.class_names[Number(answers.label.data[0])];
  const [score, isOutlier] = [answers.outlier_score.data[0], Boolean(answers.is_outlier.data[0])];
  return {{ name, probability: Math.max(...answers.probabilities.data), score, isOutlier }};
}}"""
TABLE = """\
| | name | shape and type | what it is |
|---|---|---|---|
| in | `pixels` | (n, h, w, 3) uint8 | RGB pictures of any size, of one size in a batch; upright, transparent parts \
on white |
| out | `label` | (n,) int64 | number of the most probable class, also of outliers; `class_names` in {stem}.json |
| out | `probabilities` | (n, {classes}) float32 | softmax |
| out | `outlier_score` | (n,) float32 | larger = more outlier |
| out | `is_outlier` | (n,) bool | score above {threshold:.6g} |"""


def onnx_card(stem: str, about: dict[str, Any]) -> str:
    """Return the Markdown beside the files `stem`.onnx and `stem`.json; about: the content of the latter."""
    names = ", ".join(map(markdown_text, about["class_names"]))
    fields = {"stem": stem, "classes": len(about["class_names"]), "threshold": about["threshold"]}
    summary = (
        f"An image classifier that also detects images that show none of its {fields['classes']} classes: {names}. The "
        f"whole detector is one ONNX graph: it resizes a picture to {about['image_size']} pixels, encodes it, and "
        f"computes classes, the score `{about['score']}` and the decision. It needs onnxruntime 1.18 or newer, or any "
        f"other runtime with the operators of ONNX {about['opset']}, float64 among them."
    )
    compared = f"The graph {about['agreement']['sentence']}. Its weights are stored as {about['weights']}."
    digests = "\n".join(f"- {name}: SHA-256 `{value}`" for name, value in about["made_from"].items())
    limits = (
        "An image that is not flagged may still show none of the classes. The threshold was fitted on ID validation "
        "images of the run: the model card of the bundle says which, and how well it does."
    )
    sections = [f"# {stem}", summary, TABLE.format(**fields), compared]
    sections += ["## From Python", f"```python\n{PYTHON.format(**fields)}\n```"]
    sections += ["## From JavaScript", f"```js\n{JAVASCRIPT.format(**fields)}\n```"]
    return "\n\n".join([*sections, "## Limits", limits, "## Made from", digests]) + "\n"
