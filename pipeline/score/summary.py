"""The few numbers that runs are compared by: `summary.json`, which `dvc metrics diff` and `dvc exp show` show."""

from typing import Any


def summary(report: dict[str, Any]) -> dict[str, float]:
    """Return the headline score's results of `metrics.json`, as shares of 1 and without nesting.

    Of the near and far group, where there is one: the detector's AUROC and FPR95 (share of ID flagged when 95 % of OOD
    is caught), and `gain`, its AUROC minus the baseline's. Of the ID test images: the detector's accuracy, and
    `id_accuracy_change`, the same minus the baseline's.
    """
    found: dict[str, float] = {}
    for group, entry in report["groups"].items():
        values = entry[report["score"]]
        found[f"{group}_auroc"] = values["detector"]["auroc"]["mean"]
        found[f"{group}_gain"] = values["difference"]["auroc"]["mean"]
        found[f"{group}_fpr95"] = values["detector"]["fpr95_ood_pos"]["mean"]
    baseline, detector = (report["id_accuracy"][side]["mean"] for side in ("baseline", "detector"))
    return found | {"id_accuracy": detector, "id_accuracy_change": detector - baseline}
