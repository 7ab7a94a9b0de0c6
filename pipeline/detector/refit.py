"""Fit a finished detector to new images of its classes, as of another camera, without the project that made it."""

from math import ceil
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load as tensors_of

from pipeline.detector.bundle import Bundle, copy_bundle, read_file, scorer_bytes
from pipeline.detector.bundle_card import BUNDLE, MODEL_CARD, SCORER, BundleCard, Refit, card_bytes, tensor_entries
from pipeline.posthoc.decision import fitted_to
from pipeline.posthoc.fitted import FittedScores, score_class
from pipeline.posthoc.score import NetworkOutputs
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import digest

SECTION = """
## Fitted anew

The threshold is {threshold:.6g}. It was fitted to images that were given later, {images:,} in all{kept}, and rejects
{rejected:.1%} of those that it was fitted to. What stands above about shares and thresholds is of the bundle before,
whose digest is in bundle.json.
"""


class KnownImages(NamedTuple):
    """Images of a detector's classes, as its network sees them."""

    outputs: NetworkOutputs  # on the CPU
    contents: str
    """Digest of their pixels."""


def write_refit(bundle: Bundle, images: KnownImages, folder: Path, *, rejected: float | None, keep: bool) -> None:
    """Write the bundle that `Detector.refit` describes, with its errors."""
    card, scorer, outputs, kept = bundle.card, bundle.scorer, images.outputs, 0
    share = card.decision.id_rejection_target if rejected is None else rejected
    if not len(outputs.logits):
        raise PipelineError("found no images to fit to, wanted images of the detector's classes.")
    if keep:
        added, outputs = (NetworkOutputs(*(values[first::2] for values in outputs)) for first in (0, 1))
        scorer, kept = _extended(scorer, added), len(added.logits)
    _require_enough(len(outputs.logits), share, kept)
    (values,) = scorer(outputs).values()
    scores = values.numpy()
    decision = card.decision.model_copy(update=fitted_to(scores, share))
    done = Refit(
        bundle=digest(card_bytes(card)), images=len(images.outputs.logits), contents=images.contents, kept=kept
    )
    content = scorer_bytes(scorer, scores)
    changed = card.model_copy(
        update={
            "decision": decision,
            "refits": (*card.refits, done),
            "files": card.files | {SCORER: digest(content)},
            "tensors": card.tensors | {SCORER: tensor_entries(tensors_of(content))},
        }
    )
    replaced = {SCORER: content, BUNDLE: card_bytes(changed), MODEL_CARD: _model_card(bundle, changed)}
    copy_bundle(bundle, folder, replaced)


def _extended(scorer: FittedScores, added: NetworkOutputs) -> FittedScores:
    """Return a score that compares with more images."""
    (name,) = scorer.names
    tensors = score_class(name).extended(scorer.tensors, added)
    if tensors is None:
        raise PipelineError(f"the score {name!r} compares with no images, so that none can be kept. Fit without.")
    return FittedScores(scorer.names, tensors, scorer.params)


def _require_enough(images: int, share: float, kept: int) -> None:
    """Raise PipelineError where so few images cannot tell the share that is rejected."""
    if not 0 <= share < 1:
        raise PipelineError(f"the share of known images to reject is {share}, wanted 0 <= share < 1.")
    if share and images < (fewest := ceil(1 / share)):
        found = f"{images} images to fit to{f' beside {kept} that are kept' if kept else ''}"
        raise PipelineError(
            f"found {found}, wanted {fewest} or more to reject a share of {share}. Give more, or allow a larger share."
        )


def _model_card(bundle: Bundle, card: BundleCard) -> bytes:
    """Return the model card with a section about what has changed."""
    last, decision = card.refits[-1], card.decision
    section = SECTION.format(
        images=last.images,
        kept=f", {last.kept:,} of which new images are compared with" if last.kept else "",
        rejected=decision.id_rejection_validation,
        threshold=decision.threshold,
    )
    try:
        return read_file(bundle, MODEL_CARD) + section.encode()
    except OSError:  # it may be missing
        return section.encode()
