"""A run without any OOD images is whole: the threshold is fitted, and nothing is said of what nobody looked at."""

import shutil

import pytest
import yaml

from pipeline.files import read_json
from tests.project import call, stages_run


@pytest.mark.slow
def test_without_ood_images_the_threshold_is_fitted_and_nothing_claimed(made, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(made[0], folder, symlinks=True)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    known = {name: chosen for name, chosen in params["data"]["sets"].items() if chosen["group"] == "id"}
    for name in params["data"]["sets"].keys() - known:
        shutil.rmtree(folder / "data/latents" / name)
    params["data"]["sets"] = known
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert stages_run(call(folder, "dvc", "repro", "score")) == ["guard", "infer", "score"]
    metrics = read_json(folder / "reports/metrics.json")
    assert (metrics["groups"], metrics["sets"], metrics["threshold"]["ood_detected"]) == ({}, {}, {})
    assert read_json(folder / "models/decision/0.json")["validation_images"] == metrics["sizes"]["id_validation"]
    assert "; no OOD images were scored." in call(folder, "latent-outliers", "results")
    assert "No OOD images were scored" in (folder / "reports/report.html").read_text()
    refused = call(folder, "latent-outliers", "compare", "workspace", "workspace", code=1)
    assert refused.startswith(
        "error: workspace, workspace: found no OOD set, wanted id_test and one OOD set in common."
    )
