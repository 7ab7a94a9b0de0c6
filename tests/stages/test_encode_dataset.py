"""A stage, as the process it is, takes a dataset from disk and none from a hub that it cannot reach."""

from pathlib import Path

import pytest
import torch

from pipeline.store.reader import Store
from tests.helpers.make import changed, parquet_data, tiny_params, write_params
from tests.helpers.models import write_encoder
from tests.images.hugging import HUB, as_files, as_saved, dataset_data, write_files
from tests.stages import test_stages


@pytest.fixture(autouse=True)
def encoder(tmp_path, monkeypatch):
    monkeypatch.setitem(test_stages.ENVIRONMENT, "HF_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    write_encoder(Path("encoder"))
    write_files(tmp_path)


def encode(data, output):
    write_params(Path(), tiny_params(data=data))
    return test_stages.run("stages.encode", "id_test", "encoder", output)


@pytest.mark.parametrize("layout", [as_files, as_saved])
def test_the_latents_of_a_dataset_are_those_of_its_parquet_files(tmp_path, layout):
    layout(tmp_path)
    for data, output in ((dataset_data(tmp_path), "dataset"), (parquet_data(tmp_path), "parquet")):
        code, _, err = encode(data, output)
        assert (code, err.count("\n")) == (0, 1), err  # the bar of the stage itself
    found, wanted = Store(Path("dataset")), Store(Path("parquet"))
    assert found.latents().tobytes() == wanted.latents().tobytes()
    assert found.column("content").tolist() == wanted.column("content").tolist()


def test_without_a_network_a_dataset_of_the_hub_is_one_line_and_exit_code_1(tmp_path):
    data = dataset_data(tmp_path)
    code, _, err = encode(changed(data, sources__animals=data["sources"]["animals"] | HUB), "out")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: team/animals: found nothing to open (ConnectionError: Couldn't reach 'team/animals'")
    assert not Path("out").exists()
