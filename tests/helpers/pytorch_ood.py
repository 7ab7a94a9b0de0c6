"""Scores and losses of pytorch-ood, an implementation that is not ours, recorded in a file beside this module.

pytorch-ood wants torchvision, whose wheels are made for the CUDA build of PyTorch. So it is no dependency of the tests.
To record again, in an environment that has `pytorch-ood==0.4.0` too: `python -m tests.helpers.pytorch_ood`.
"""

import json
from pathlib import Path

import numpy as np
import torch

FILE = Path(__file__).with_suffix(".json")
NEIGHBOURS, PRINCIPAL, GAMMA = 3, 4, 0.1
TEMPERATURE, MARGIN_ID, MARGIN_OUTLIERS = 0.04, -4.0, -1.0


def recorded():
    """Return inputs and outputs by name, as arrays; `scores` and `losses` are dictionaries of arrays."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    arrays = {name: np.array(values) for name, values in content.items() if name not in ("scores", "losses")}
    return arrays | {kind: {name: np.array(of) for name, of in content[kind].items()} for kind in ("scores", "losses")}


def _inputs():
    """Features that are not negative, as after a ReLU, of three classes and of images to score; and logits."""
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((3, 10)), rng.standard_normal(3)
    labels = np.arange(60) % 3
    bank = np.maximum(rng.standard_normal((60, 10)) + 2 * weight[labels], 0)
    images = np.maximum(2 * rng.standard_normal((8, 10)), 0)
    logits, outlier_logits = 3 * rng.standard_normal((9, 3)), 3 * rng.standard_normal((7, 3))
    energy_weights, regression, regression_bias = rng.random(3), rng.standard_normal((2, 1)), rng.standard_normal(2)
    found = locals()
    return {name: values.round(6) for name, values in found.items() if name != "rng"}


def _scores(given):
    from pytorch_ood import detector

    head = torch.nn.Linear(10, 3).double()
    head.weight.data, head.bias.data = given["weight"], given["bias"]
    bank, labels, images = given["bank"], given["labels"], given["images"]

    def fitted(kind, *settings, **named):  # in float32, which some detectors compute in anyhow
        return kind(None, *settings, **named).fit_features(bank.float(), labels).predict_features(images.float())

    def of_maps(rows):
        return rows[:, :, None, None]

    def of_head(maps):
        return head(maps[:, :, 0, 0])

    logits = head(images)
    react = detector.ReAct(None, of_head).fit_feature_maps(of_maps(bank), labels)
    return {
        "energy": detector.EnergyBased.score(logits),
        "max_logit": detector.MaxLogit.score(logits),
        "gen": detector.GEN.score(logits, gamma=GAMMA),
        "knn": fitted(detector.KNN, k=NEIGHBOURS),
        "vim": fitted(detector.ViM, d=PRINCIPAL, w=head.weight, b=head.bias),
        "react": react.predict_feature_maps(of_maps(images)),
        "scale": detector.SCALE(None, of_head, percentile=0.85).predict_feature_maps(of_maps(images)),
        "fdbd": fitted(detector.fDBD, head.float()),
        "nnguide": fitted(detector.NNGuide, head.float(), k=NEIGHBOURS),
    }


def _losses(given):
    from pytorch_ood import loss

    logits, outliers, labels = given["logits"], given["outlier_logits"], torch.arange(9) % 3
    both, targets = torch.cat([logits, outliers]), torch.cat([labels, torch.full((7,), -1)])
    energy_weights, regression = torch.nn.Linear(3, 1).double(), torch.nn.Linear(1, 2).double()
    energy_weights.weight.data = given["energy_weights"][None]
    regression.weight.data, regression.bias.data = given["regression"], given["regression_bias"]
    vos = loss.VOSRegLoss(regression, energy_weights, alpha=1.0)
    return {
        "logit_norm": loss.LogitNorm(t=TEMPERATURE)(logits, labels),
        "outlier_exposure": loss.OutlierExposureLoss(alpha=1.0, reduction="none")(both.float(), targets)[9:],
        "energy_bound": loss.EnergyRegularizedLoss(1.0, MARGIN_ID, MARGIN_OUTLIERS)(both, targets)
        - torch.nn.functional.cross_entropy(logits, labels),
        "vos_uncertainty": vos(both, targets) - torch.nn.functional.cross_entropy(logits, labels),
    }


def record():
    """Write the file."""
    inputs = _inputs()
    given = {name: torch.from_numpy(values) for name, values in inputs.items()}
    with torch.no_grad():
        scores, losses = _scores(given), _losses(given)
    content = {name: values.tolist() for name, values in inputs.items()}
    content |= {"scores": {name: values.tolist() for name, values in scores.items()}}
    content |= {"losses": {name: values.tolist() for name, values in losses.items()}}
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
