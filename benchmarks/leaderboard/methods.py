"""What is compared: every method by its name, how it is trained, and the post-hoc score of its paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.params.infer import ScoreName
from pipeline.params.train import TrainParams

Role = Literal["ours", "cross-entropy", "published", "reference", "alone", "null", "size", "candidate"]
"""What a method is there for: to be judged, compared with, an upper reference, one synthesis method alone, no outliers,
our default with other numbers of them, or other settings to choose a default from."""


@dataclass(frozen=True)
class Teacher:
    """Cross-entropy alone: the networks that stage `teacher` has trained."""


@dataclass(frozen=True)
class Library:
    """A training by the pipeline itself, of the task's `train` section."""

    methods: tuple[str, ...] | None = None
    """Synthesis methods whose outliers it is shown; None: those of synthesize.methods."""
    rows: int | None = None
    """Outliers of each synthesis method; None: as many as params.yaml says."""
    weights: tuple[tuple[str, float], ...] | None = None
    """Of losses, by name, those that are not named having none; None: the weights of params.yaml."""
    mixing: tuple[str, ...] | None = None
    """Kinds in which ID rows are mixed with each other; None: those of params.yaml."""
    outliers_per_step: int | None = None
    """None: as many as params.yaml says."""


@dataclass(frozen=True)
class Head:
    """Cross-entropy alone as well, by the pipeline, with another head."""

    settings: tuple[tuple[str, Any], ...]
    rate: float
    """Learning rate in that of cross-entropy."""
    clip: float
    """Norm that gradients are clipped to."""


@dataclass(frozen=True)
class Peer:
    """A training written from a paper, in `benchmarks/leaderboard/peers/`."""

    name: str


@dataclass(frozen=True)
class Method:
    """One line of the tables."""

    title: str
    role: Role
    how: Teacher | Library | Head | Peer
    score: ScoreName | None
    """The score of its paper; None: `score.headline`."""
    source: str


OURS, BASELINE = "ours", "cross_entropy"
WITHOUT_OUTLIERS = (("mixing", 1.0), ("reconstruction", 1.0))
EXPOSURE, CONTRAST = ("outlier_exposure", 0.5), ("info_nce", 0.1)
OUR_WEIGHTS = (*WITHOUT_OUTLIERS, EXPOSURE, CONTRAST)
CONTRAST_ALONE = Library(("copies",), weights=(*WITHOUT_OUTLIERS, CONTRAST), outliers_per_step=1)
"""InfoNCE contrasts ID rows with each other too. A step draws one outlier at least: a copy, one negative of many."""
SMOOTHED_LABELS = Library(("copies",), weights=(*WITHOUT_OUTLIERS, EXPOSURE))
"""To be unsure of copies of ID rows with weight w is cross-entropy to labels of which w / (1 + w) is spread evenly over
all classes: Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7."""


def logit_norm(rate: float) -> Head:
    """Return LogitNorm at so much of the learning rate of cross-entropy, with clipped gradients."""
    return Head((("kind", "logit_norm"), ("temperature", 0.04)), rate, clip=1.0)


LOGIT_NORM = logit_norm(2.0)
"""The temperature is that of its paper for CIFAR-10. By the recipe of cross-entropy it ends at chance: its gradients
are larger by one over the temperature. With clipped ones it learns; this rate had the best ID accuracy of six on
CIFAR-10's development splits."""
ARXIV = "https://arxiv.org/abs"
SYNTHESIS_METHODS = ("perturb", "mixup", "shuffle", "label_mixup")
CONTROLS = ("gaussian", "copies")
METHODS: dict[str, Method] = {
    OURS: Method("our default", "ours", Library(), None, "params.yaml"),
    BASELINE: Method("cross-entropy", "cross-entropy", Teacher(), "msp", f"{ARXIV}/1610.02136"),
    "logit_norm": Method("LogitNorm", "published", LOGIT_NORM, "msp", f"{ARXIV}/2205.09310"),
    "mixup": Method("mixup", "published", Peer("mixup"), "msp", f"{ARXIV}/1710.09412"),
    "masked_mix": Method("CutMix", "published", Peer("masked_mix"), "msp", f"{ARXIV}/1905.04899"),
    "vos": Method("VOS", "published", Peer("vos"), "energy", f"{ARXIV}/2202.01197"),
    "npos": Method("NPOS", "published", Peer("npos"), "knn", f"{ARXIV}/2303.02966"),
    "npos_cross_entropy": Method(
        "NPOS on cross-entropy's features", "published", Peer("npos_cross_entropy"), "knn", f"{ARXIV}/2303.02966"
    ),
    "outlier_exposure": Method(
        "outlier exposure, real outliers", "reference", Peer("outlier_exposure"), "msp", f"{ARXIV}/1812.04606"
    ),
    **{
        f"only_{name}": Method(f"{name} alone", "alone", Library((name,)), None, "params.yaml")
        for name in SYNTHESIS_METHODS
    },
    "no_outliers": Method("without outliers", "null", Library(weights=WITHOUT_OUTLIERS), None, "params.yaml"),
    "contrast_alone": Method("without outliers, InfoNCE among ID rows", "null", CONTRAST_ALONE, None, "params.yaml"),
    "smoothed_labels": Method("without outliers, labels smoothed", "null", SMOOTHED_LABELS, None, "params.yaml"),
    **{f"only_{name}": Method(f"{name} (null)", "null", Library((name,)), None, "params.yaml") for name in CONTROLS},
}
"""Synthesis methods alone and null controls have our losses. Mixing, reconstruction and InfoNCE of ID rows need no
outliers."""
WITH_MIXUP = ("perturb", "mixup", "shuffle")
LOGIT_NORM_RATES = (0.05, 0.1, 0.2, 0.5, 1, 2)


def with_reconstruction(weight: float) -> tuple[tuple[str, float], ...]:
    """Return the weights of our losses but for this one."""
    return tuple(dict(OUR_WEIGHTS, reconstruction=weight).items())


_SETTINGS: dict[str, Library | Head] = {
    "exposure_contrast_distillation": Library(weights=(("outlier_exposure", 0.5), ("info_nce", 0.5), ("logits", 0.5))),
    "exposure": Library(weights=(("outlier_exposure", 0.5),)),
    "contrast": Library(weights=(("info_nce", 0.5),)),
    "exposure_contrast": Library(weights=(("outlier_exposure", 0.5), ("info_nce", 0.5))),
    "mixing_exposure": Library(weights=(("mixing", 1.0), ("outlier_exposure", 0.5))),
    "mixing_more_exposure": Library(weights=(("mixing", 1.0), ("outlier_exposure", 1.0))),
    "mixing_contrast": Library(weights=(("mixing", 1.0), ("info_nce", 0.5))),
    "mixing_exposure_contrast": Library(weights=(("mixing", 1.0), ("outlier_exposure", 0.5), ("info_nce", 0.5))),
    "half_mixing_exposure_contrast": Library(weights=(("mixing", 0.5), ("outlier_exposure", 0.5), ("info_nce", 0.5))),
    "mixing_exposure_gaussian": Library(
        ("perturb", "shuffle", "gaussian"), weights=(("mixing", 1.0), ("outlier_exposure", 0.5))
    ),
    "without_reconstruction": Library(weights=with_reconstruction(0.0)),
    "less_reconstruction": Library(weights=with_reconstruction(0.3)),
    "more_reconstruction": Library(weights=with_reconstruction(3.0)),
    "with_mixup": Library(WITH_MIXUP),
    "masked_mixing": Library(mixing=("masked",)),
    "masked_mixing_with_mixup": Library(WITH_MIXUP, mixing=("masked",)),
    **{f"logit_norm_clipped_{rate}": logit_norm(rate) for rate in LOGIT_NORM_RATES},
}
CANDIDATES: dict[str, Method] = {
    name: Method(name.replace("_", " "), "candidate", how, None, "params.yaml") for name, how in _SETTINGS.items()
}
"""Other settings of the library, for `--development`, where a default may be chosen among them."""
SIZES = (32, 128, 512, 8192)
"""Outliers of each synthesis method, to see how many our default needs. Its own number, 2048 in the presets, stands
beside."""


def chosen(names: Sequence[str]) -> dict[str, Method]:
    """Return the methods of these names, our default and its baseline always."""
    return {name: method for name, method in (METHODS | CANDIDATES).items() if name in (OURS, BASELINE, *names)}


def by_size() -> dict[str, Method]:
    """Return our default, its baseline, and our default with other numbers of outliers of each synthesis method."""
    return chosen([]) | {
        f"{OURS}_{rows}": Method(f"{rows:,} outliers each", "size", Library(rows=rows), None, "params.yaml")
        for rows in SIZES
    }


def synthesis_methods(methods: Mapping[str, Method]) -> list[str]:
    """Return the synthesis methods whose outliers the compared methods name."""
    return sorted({name for method in methods.values() for name in getattr(method.how, "methods", None) or ()})


def train_params(how: Library | Head, default: TrainParams) -> TrainParams:
    """Return the `train` section of a method; that of our default is `default` itself."""
    if isinstance(how, Library):
        params = default if how.weights is None else with_weights(default, dict(how.weights))
        if how.outliers_per_step is not None:
            params = params.model_copy(update={"outlier_batch_size": how.outliers_per_step})
        return params if how.mixing is None else with_mixing(params, how.mixing)
    alone = with_weights(default, {}).model_dump()
    return TrainParams.model_validate(alone | {"head": dict(how.settings), "start": "scratch"})


def with_mixing(params: TrainParams, kinds: Sequence[str]) -> TrainParams:
    """Return the parameters with these kinds of mixing."""
    content = params.model_dump()
    content["mixing"]["kinds"] = kinds
    return TrainParams.model_validate(content)


def weights(params: TrainParams) -> dict[str, float]:
    """Return the losses that have a weight, by name."""
    return {name: loss["weight"] for name, loss in _losses(params.model_dump()).items() if loss["weight"]}


def with_weights(params: TrainParams, weights: Mapping[str, float]) -> TrainParams:
    """Return the parameters with these weights of losses, by name, and no others."""
    content = params.model_dump()
    losses = _losses(content)
    if unknown := weights.keys() - losses.keys():
        raise ValueError(f"no loss {', '.join(unknown)}")
    for name, loss in losses.items():
        loss["weight"] = weights.get(name, 0.0)
    return TrainParams.model_validate(content)


def _losses(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the part of each loss of a `train` section."""
    alone = {name: content[name] for name in ("mixing", "outlier_exposure", "energy_bound", "reconstruction")}
    return {**alone, **content["micl"], **content["distillation"]}
