"""Two ranks that share every batch reach the loss of one process, up to rounding."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.latents.view_rows import write_card as write_views_card
from pipeline.networks.pretrained_teacher import write_card
from pipeline.runtime.cluster import RanksPool
from pipeline.runtime.errors import ClusterError, DivergedError
from pipeline.runtime.files import read_json
from pipeline.runtime.launch import Launch
from pipeline.store.reader import Store
from stages.teacher import teacher
from stages.train import train
from tests.helpers.make import latents_store, outliers_store, tiny_params, write_params

pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\..*")  # what Ray says to itself

EVERY_LOSS = {
    "train__micl__club__weight": 0.1,
    "train__micl__info_nce__weight": 0.1,
    "train__energy_bound__weight": 0.1,
    "train__distillation__features__weight": 0.1,
    "train__outlier_exposure__weight": 0.5,
}
INPUTS = Path("id"), Path("views"), Path("id"), Path("outliers"), Path("teachers"), Path("pretrained")


@pytest.fixture(autouse=True)
def inputs():
    latents_store(Path("id"))
    parents = {"parent_a": np.arange(90), "parent_b": np.arange(90)}
    outliers_store(Path("outliers/mixup"), rows=90, latents=Store(Path("id")).digest, **parents)
    write_card(Path("pretrained"), None)


def trained(output, ray=None, ranks=1, **changes):
    params = write_params(Path(), tiny_params(seeds=[0], synthesize__methods=["mixup"], **EVERY_LOSS, **changes))
    if not Path("teachers").exists():
        write_views_card(Path("views"), 0)
        inputs = map(Path, ("encoder", "id", "views", "id", "teachers", "curves_of_teachers"))
        teacher(*inputs, params, workers=1)
    train(*INPUTS, Path(output), Path("curves"), params, workers=None if ray else 1, ray=ray, ranks=ranks)
    return read_json(Path(output) / "0/history.json"), load_file(Path(output) / "0/model.safetensors")


def kill_a_rank(cluster):
    """Kill a rank when the learning curve has a line; the list it returns then says how many there were."""
    killed, curve = [], Path("curves/0.csv")

    def watch():
        while not curve.exists() or curve.read_text().count("\n") < 2:
            time.sleep(0.01)
        killed.append(len(cluster.ranks()))
        cluster.ranks()[-1].kill()

    threading.Thread(target=watch, daemon=True).start()
    return killed


def test_two_ranks_step_as_one_process_does(cluster):
    odd = {"train__optimiser__batch_size": 47}  # 90 rows are a full batch and a short one, neither to be halved
    alone, weights = trained("alone", **odd)
    shared, their_weights = trained("shared", cluster.address, 2, **odd)
    assert len(shared) == len(alone) == 2
    for one, other in zip(alone, shared, strict=True):
        assert other == pytest.approx(one, rel=1e-3)
    for name, values in weights.items():
        torch.testing.assert_close(their_weights[name], values, rtol=1e-2, atol=1e-4)
    assert not list(Path(".work").glob("ranks-*"))
    assert [json.loads(line).get("ranks") for line in Path("logs/runs.jsonl").read_text().splitlines()] == [None, 1, 2]


@pytest.mark.slow
def test_ranks_start_over_when_one_is_killed(cluster):
    killed = kill_a_rank(cluster)
    shared, _ = trained("shared", cluster.address, 2, train__optimiser__epochs=40)
    assert killed == [2]
    assert len(shared) == 40


def test_an_error_of_the_user_in_a_rank_is_one_line(cluster):
    with pytest.raises(DivergedError, match="wanted finite values. The training diverged"):
        trained("shared", cluster.address, 2, train__optimiser__learning_rate=1e30)
    assert not Path("shared").exists()


def test_more_ranks_than_cores_are_refused(cluster):
    with pytest.raises(ClusterError, match="found 2 cores, wanted 3, one per rank"):
        RanksPool(cluster.address, 1, 3)


def test_ranks_without_a_cluster_are_refused():
    with pytest.raises(ClusterError, match="--ranks: found 2 without a Ray cluster"):
        Launch(ranks=2)
