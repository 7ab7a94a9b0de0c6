"""A step shows the network ID rows and outliers, and compares each with what belongs to it."""

import numpy as np
import torch

from pipeline.latents import load_id_train
from pipeline.networks.params import NetworkParams
from pipeline.networks.resnet import LatentResNet, Prediction
from pipeline.store.pool import RowPool
from pipeline.train.objective import objective
from pipeline.train.outliers import OutlierBatches
from pipeline.train.params import TrainParams
from pipeline.train.run import _Step
from tests.make import default_params, latents_store, outliers_store, section


def test_a_step_is_the_objective_of_its_rows(tmp_path):
    latents, params = load_id_train(latents_store(tmp_path / "id")), section(TrainParams, default_params()["train"])
    torch.manual_seed(0)
    network, stored = LatentResNet(4, 3, NetworkParams(width=8, blocks=(1,))), RowPool(outliers_store(tmp_path / "s"))
    teacher, batch = torch.randn(90, 3), torch.tensor([70, 3, 41, 5, 88])
    drawn, outliers = (OutlierBatches([stored], 6, torch.Generator().manual_seed(4)) for _ in range(2))
    found = _Step(network, latents, teacher, drawn, params)(batch)
    wanted = objective(
        Prediction(*network(latents.values[batch])),
        Prediction(*network(outliers.draw())),
        torch.tensor([2, 0, 1, 0, 2]),
        teacher[batch],
        params,
    )
    assert set(found) == {"cross_entropy", "outlier_exposure", "micl", "distillation"}
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name].item(), value.item(), rtol=1e-5)
