"""The model card of a bundle, in the format of the Hugging Face hub: what it is, how to use it, how good, what not."""

from typing import Any

import yaml

from pipeline.bundle.params import Params
from pipeline.detector.bundle import BUNDLE, Ingredients

TAGS = ["image-classification", "out-of-distribution-detection", "latent-outliers"]
COPIES = "copies"
"""The store whose rows are no outliers."""
USE = """\
```python
from pipeline.detector.detector import Detector  # of the package latent-outliers

detector = Detector.from_pretrained("path/to/this/folder")  # or its id on the hub
answer = detector.predict("photo.png")  # a path, a PIL image or an array; or several of them
print(answer.label, answer.probability, answer.outlier_score, answer.is_outlier)
```

```console
$ latent-outliers predict path/to/this/folder photos/ --out answers.parquet
```"""
LIMITS = """\
- An image whose score is not above the threshold need not be of a class the detector knows; the shares above say how
  often it was not, for the OOD sets named there and for no others.
- The threshold was fitted on ID validation images. Where your images differ from those (camera, crop, compression),
  check how many known ones it rejects before you rely on it.
- `label` is the most probable known class of outliers too. Read `is_outlier` first.
- Every image is converted to RGB and resized to {size} x {size} pixels."""


def model_card(params: Params, parts: Ingredients, metrics: dict[str, Any]) -> str:
    """Return README.md of a bundle; metrics: the content of `metrics.json`."""
    stores = params.synthesize.stores if params.train.uses_outliers else ()
    tags = [*TAGS, "outlier-exposure"] if {*stores} - {COPIES} else TAGS
    header = {"library_name": "latent-outliers", "pipeline_tag": "image-classification", "tags": tags}
    if params.bundle.licence is not None:
        header["license"] = params.bundle.licence
    decision, space = parts.decision, parts.network.space
    what = (
        f"An image classifier that says when an image shows none of the {len(parts.network.class_names)} classes it "
        f"knows: {', '.join(parts.network.class_names)}. An autoencoder turns an image into a latent, a residual "
        f"network classifies the latent, and the post-hoc score `{decision.score}` says how unlike the training images "
        f"it is. The network was trained by latent-outliers, {_trained_with(stores)}."
    )
    threshold = (
        f"`is_outlier` is true above {decision.threshold:.6g}, the threshold that rejects at most "
        f"{_percent(decision.id_rejection_target)} of ID validation images: "
        f"{_percent(decision.id_rejection_validation)} of {decision.validation_images}."
    )
    parts_of_it = ["# " + params.bundle.title, what, "## Use", USE, "## Decision", threshold]
    parts_of_it += ["## How good", _quality(parts, metrics)]
    parts_of_it += ["## Limits", LIMITS.format(size=space.image_size), "## Made from", _origin(parts)]
    return f"---\n{yaml.safe_dump(header, sort_keys=True)}---\n\n" + "\n\n".join(parts_of_it) + "\n"


def _trained_with(stores: tuple[str, ...]) -> str:
    """Say which outliers the losses looked at."""
    made = [f"`{name}`" for name in stores if name != COPIES]
    told = [f"outliers synthesized in latent space ({', '.join(made)})"] if made else []
    told += ["copies of training latents in the place of outliers, a null control"] if COPIES in stores else []
    return f"with {' and '.join(told)}" if told else "without outliers"


def _quality(parts: Ingredients, metrics: dict[str, Any]) -> str:
    """Return a table of what the report says of detectors like this one: means over seeds, of which it is one."""
    score, found = parts.decision.score, metrics["threshold"]
    rows = ["| images | AUROC | FPR95 | rejected as outliers |", "|---|---|---|---|"]
    rows.append(f"| ID test | - | - | {_percent(found['id_rejection_test'])} |")
    for name, entry in metrics["sets"].items():
        values = [_spread(entry[score]["detector"][metric]) for metric in ("auroc", "fpr95_ood_pos")]
        rows.append(f"| {name} | {' | '.join(values)} | {_percent(found['ood_detected'][name])} |")
    seeds, accuracy = len(metrics["seeds"]), _spread(metrics["id_accuracy"]["detector"])
    about = (
        f"Mean ± std over {seeds} detectors that differ in the seed only; this one is seed {parts.decision.seed}. "
        f"FPR95: share of ID test flagged when 95 % of the set is caught. ID accuracy: {accuracy}."
    )
    caution = [f"**{metrics['stand_in']['caution']}**"] if "stand_in" in metrics else []
    return "\n\n".join(["\n".join(rows), about, *caution])


def _origin(parts: Ingredients) -> str:
    lines = {
        "autoencoder": parts.network.space.autoencoder,
        "network": parts.decision.weights,
        "ID training latents": parts.id_train,
    }
    told = "\n".join(f"- {what}: SHA-256 `{value}`" for what, value in lines.items())
    return f"{told}\n\n`{BUNDLE}` has every number of this card and the digest of every file. Nothing is pickled."


def _spread(value: dict[str, float | None]) -> str:
    std = "" if value["std"] is None else f" ± {100 * value['std']:.1f}"
    mean = value["mean"]
    assert mean is not None  # only a spread over one seed is
    return f"{100 * mean:.1f}{std} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
