"""A run without any OOD images is whole: the threshold is fitted, and synthetic outliers stand in, called that."""

import shutil

import numpy as np
import pytest
import torch

from pipeline.latents.standardising import to_scaled
from pipeline.runtime.files import read_json
from pipeline.schema.text import dump_yaml, plain_yaml
from pipeline.store.reader import Store
from tests.helpers.project import call, stages_run

pytestmark = pytest.mark.slow
TRAINED_ON = ("perturb", "mixup", "shuffle")
KINDS = (*TRAINED_ON, "gaussian", "mixup_spherical", "mixup_channels")


@pytest.fixture(scope="module")
def without_ood(made, tmp_path_factory):
    """The project after its OOD sets were taken out, run up to `score`."""
    folder = tmp_path_factory.mktemp("without_ood") / "project"
    shutil.copytree(made[0], folder, symlinks=True)
    params = plain_yaml((folder / "params.yaml").read_text())
    known = {name: chosen for name, chosen in params["data"]["sets"].items() if chosen["group"] == "id"}
    for name in params["data"]["sets"].keys() - known:
        shutil.rmtree(folder / "data/latents" / name)
    params["data"]["sets"] = known
    (folder / "params.yaml").write_text(dump_yaml(params))
    assert stages_run(call(folder, "dvc", "repro", "score")) == ["guard", "infer", "rival", "score"]
    return folder


def test_without_ood_images_the_threshold_is_fitted_and_every_figure_has_a_caution(without_ood):
    folder = without_ood
    metrics = read_json(folder / "reports/metrics.json")
    assert set(metrics["groups"]) == {"stand_in"}
    assert metrics["stand_in"]["trained_on"] == {f"stand_in/{kind}": kind in TRAINED_ON for kind in KINDS}
    assert set(metrics["sets"]) == set(metrics["threshold"]["ood_detected"]) == set(metrics["stand_in"]["trained_on"])
    assert read_json(folder / "models/decision/0.json")["validation_images"] == metrics["sizes"]["id_validation"]
    assert set(read_json(folder / "reports/summary.json")) >= {"stand_in_auroc", "stand_in_gain", "stand_in_fpr95"}
    caution = metrics["stand_in"]["caution"]
    assert caution in " ".join(call(folder, "latent-outliers", "results").split())
    assert caution in (folder / "reports/report.html").read_text()
    assert "synthetic outliers stand in for them" in call(
        folder, "latent-outliers", "compare", "workspace", "workspace"
    )


def test_what_dvc_plots_without_ood_images_is_all_there(without_ood):
    assert "failed" not in call(without_ood, "dvc", "plots", "show")
    assert "stand_in_perturb" in (without_ood / "dvc_plots/index.html").read_text()


def test_parents_of_stand_ins_are_id_test_images(without_ood):
    store = Store(without_ood / "data/scores/stand_in/shuffle")
    id_train, id_test = (Store(without_ood / "data/latents" / name) for name in ("id_train", "id_test"))
    scaled = to_scaled(torch.from_numpy(store.latents().astype(np.float32)), id_train.header.standardisation).numpy()
    for row, parent in zip(scaled, store.column("parent_a"), strict=True):
        np.testing.assert_allclose(np.sort(row, None), np.sort(id_test.latents()[parent], None), atol=0.01)


def test_where_there_are_ood_images_nothing_stands_in_for_them(made):
    assert {path.name for path in (made[0] / "data/scores").iterdir()} == {"scores.parquet", "manifest.json"}
    assert "stand_in" not in read_json(made[0] / "reports/metrics.json")
