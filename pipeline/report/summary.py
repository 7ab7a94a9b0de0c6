"""The few numbers of `summary.json`, which `dvc metrics diff` and `dvc exp show` show to compare runs."""

from typing import Any


def summary(report: dict[str, Any]) -> dict[str, float]:
    """Return the headline score's results of `metrics.json`, as shares of 1 and without nesting.

    For each group: the AUROC and FPR95 of the detector, and `gain`, its AUROC minus that of the baseline. FPR95 is the
    share of ID flagged when 95 % of OOD is caught. For the ID test images: the accuracy of the detector, and
    `id_accuracy_change`, the same minus that of the baseline.
    """
    numbers: dict[str, float] = {}
    for group, entry in report["groups"].items():
        values = entry[report["score"]]
        numbers[f"{group}_auroc"] = values["detector"]["auroc"]["mean"]
        numbers[f"{group}_gain"] = values["difference"]["auroc"]["mean"]
        numbers[f"{group}_fpr95"] = values["detector"]["fpr95_ood_pos"]["mean"]
    baseline, detector = (report["id_accuracy"][side]["mean"] for side in ("baseline", "detector"))
    return numbers | {"id_accuracy": detector, "id_accuracy_change": detector - baseline}
