"""Write the model card of a bundle in the format of the Hugging Face hub: use, quality, limits and origin."""

from typing import Any

import yaml

from pipeline.detector.bundle import BundleParts
from pipeline.detector.bundle_card import BUNDLE, LeftOutWeights
from pipeline.params.bundle import BundleParams
from pipeline.report.columns import METRICS
from pipeline.runtime.shortage import as_size
from pipeline.runtime.text.user_text import markdown_text

TAGS = ["image-classification", "out-of-distribution-detection", "latent-outliers"]
COPIES = "copies"
"""The store whose rows are ID latents, not outliers."""
USE = """\
```python
from pipeline import Detector  # of the package latent-outliers

detector = Detector.from_pretrained("path/to/this/folder")  # or its id on the hub
answer = detector.predict("photo.png")  # a path, a PIL image or an array; or a list of these
print(answer.label, answer.probability, answer.outlier_score, answer.is_outlier)
```

```console
$ latent-outliers predict path/to/this/folder photos/ --out answers.parquet
```"""
LIMITS = """\
- An image that is not flagged may still show none of the classes. The shares above say how often
  images of the OOD sets named there were flagged. They say nothing about other images.
- The threshold was fitted on ID validation images. If your images differ from those (camera, crop, compression), check
  how many images of the known classes it rejects before you rely on it.
- An outlier has a `label` too, its most probable class. Read `is_outlier` first.
- Every image is converted to RGB and resized to {size} x {size} pixels."""


def model_card(params: BundleParams, stores: tuple[str, ...], parts: BundleParts, metrics: dict[str, Any]) -> str:
    """Return the content of the README.md of a bundle.

    stores: the outlier stores used by the losses; metrics: the content of `metrics.json`.
    """
    tags = [*TAGS, "outlier-exposure"] if {*stores} - {COPIES} else TAGS
    header = {"library_name": "latent-outliers", "pipeline_tag": "image-classification", "tags": tags}
    if params.licence is not None:
        header["license"] = params.licence
    decision, space = parts.decision, parts.network.space
    summary = (
        f"An image classifier that also detects images that show none of its {len(parts.network.class_names)} classes: "
        f"{', '.join(map(markdown_text, parts.network.class_names))}. An encoder turns an image into a latent, and "
        f"a residual network classifies the latent. The post-hoc score `{decision.score}` says how unlike the training "
        f"images the image is. The network was trained by latent-outliers, {_trained_with(stores)}."
    )
    threshold = (
        f"`is_outlier` is true above {decision.threshold:.6g}, the threshold that rejects at most "
        f"{_percent(decision.id_rejection_target)} of ID validation images: "
        f"{_percent(decision.id_rejection_validation)} of {decision.validation_images}."
    )
    use = [USE] if parts.left_out is None else [USE, _to_fetch(parts.left_out)]
    about_rival = metrics["rival"]["sentences"] if "rival" in metrics else []
    plain = [" ".join(map(markdown_text, [*metrics["plain_words"], *about_rival]))]
    sections = ["# " + params.title, summary, *plain, "## Use", *use, "## Decision", threshold]
    sections += ["## Results", _quality(parts, metrics)]
    sections += ["## Limits", LIMITS.format(size=space.image_size), "## Made from", _origin(parts)]
    return f"---\n{yaml.safe_dump(header, sort_keys=True)}---\n\n" + "\n\n".join(sections) + "\n"


def _to_fetch(left_out: LeftOutWeights) -> str:
    """Say where the weights of the encoder are, and how they are fetched."""
    return (
        f"The weights of the encoder are not in this folder, but in `{left_out.repository}` on the hub, at commit "
        f"`{left_out.commit}` ({as_size(left_out.size)}). `from_pretrained(..., fetch_encoder=True)` and `predict "
        f"--fetch-encoder` fetch them once and compare their digests."
    )


def _trained_with(stores: tuple[str, ...]) -> str:
    """Describe the outliers used by the losses."""
    outlier_stores = [f"`{name}`" for name in stores if name != COPIES]
    kinds = [f"outliers synthesized in latent space ({', '.join(outlier_stores)})"] if outlier_stores else []
    kinds += ["copies of training latents in the place of outliers, a null control"] if COPIES in stores else []
    return f"with {' and '.join(kinds)}" if kinds else "without outliers"


def _quality(parts: BundleParts, metrics: dict[str, Any]) -> str:
    """Return a table of the report's metrics, as means over the seeds of the run, which include this detector's."""
    score, threshold = parts.decision.score, metrics["threshold"]
    titles = " | ".join(metric.title for metric in METRICS)
    rows = [f"| images | {titles} | rejected as outliers |", "|---|" + "---|" * len(METRICS) + "---|"]
    rows.append(f"| ID test | {'- | ' * len(METRICS)}{_percent(threshold['id_rejection_test'])} |")
    for name, entry in metrics["sets"].items():
        values = [_spread(entry[score]["detector"][metric.key]) for metric in METRICS]
        rows.append(f"| {name} | {' | '.join(values)} | {_percent(threshold['ood_detected'][name])} |")
    seeds, accuracy = len(metrics["seeds"]), _spread(metrics["id_accuracy"]["detector"])
    explanation = (
        f"Mean ± std over {seeds} detectors that differ only in the seed; this one is seed {parts.decision.seed}. "
        f"FPR95: share of ID test images flagged when 95 % of the set is caught. ID accuracy: {accuracy}."
    )
    caution = [f"**{metrics['stand_in']['caution']}**"] if "stand_in" in metrics else []
    return "\n\n".join(["\n".join(rows), explanation, *caution])


def _origin(parts: BundleParts) -> str:
    digest_of_part = {
        "encoder": parts.network.space.encoder,
        "network": parts.decision.weights,
        "ID training latents": parts.id_train,
    }
    digests = "\n".join(f"- {name}: SHA-256 `{value}`" for name, value in digest_of_part.items())
    return f"{digests}\n\n`{BUNDLE}` has the threshold and the digest of every other file. Nothing is pickled."


def _spread(value: dict[str, float | None]) -> str:
    std = "" if value["std"] is None else f" ± {100 * value['std']:.1f}"
    mean = value["mean"]
    assert mean is not None  # only `std` is None, for a single seed
    return f"{100 * mean:.1f}{std} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
