"""What this machine can never run is refused by `check`, with what it needs and what there is."""

import pytest

from pipeline.commands import resources
from pipeline.commands.resources import require_resources
from pipeline.params.all_params import load_all
from pipeline.runtime.errors import ParamsError
from tests.helpers.make import ROOT, changed, default_params, write_params
from tests.helpers.project import call

TOO_MUCH = {
    "synthesize__perturb__candidates": 10**9,
    "synthesize__perturb__rows": 10**12,
    "synthesize__shuffle__rows": 10**15,
    "encode__batch_size": 10**9,
    "data__sources__noise__images": 10**13,
    "data__image_size": 2**24,
    "teacher__network": {"width": 2**13, "blocks": [64] * 8, "latent_mean": False},
    "train__outlier_batch_size": 10**13,
    "train__reconstruction__hidden": 10**13,
    "encoder__trained__channels": [8, 16, 32, 2**22],
}


def refused(path):
    with pytest.raises(ParamsError) as caught:
        require_resources(path, load_all(path))
    return str(caught.value)


@pytest.mark.parametrize("key", TOO_MUCH)
def test_a_number_beyond_every_machine_is_named_with_what_it_needs(key, tmp_path):
    told = refused(write_params(tmp_path, changed(default_params(), **{key: TOO_MUCH[key]})))
    assert f"{key.replace('__', '.')} needs " in told
    assert "iB of memory: lower it" in told


def test_all_are_listed_and_the_disk_counts_too(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "machine_memory", lambda: 2**50)
    changes = {"synthesize__perturb__rows": 10**13, "encode__batch_size": 10**12}
    told = refused(write_params(tmp_path, changed(default_params(), **changes)))
    assert "encode.batch_size needs 10.9 PiB, there are 1.0 PiB of memory: lower it" in told
    assert "synthesize.perturb.rows needs 1.1 PiB, there are " in told
    assert "of disk: lower it" in told


def test_what_runs_passes_and_what_is_not_asked_for_needs_nothing(tmp_path):
    require_resources(ROOT / "params.yaml", load_all(ROOT / "params.yaml"))
    path = write_params(tmp_path, changed(default_params(), synthesize__dream__candidates=10**12))
    require_resources(path, load_all(path))


def test_the_command_says_it_in_one_line(tmp_path):
    write_params(tmp_path, changed(default_params(), synthesize__perturb__candidates=10**9))
    told = call(tmp_path, "latent-outliers", "check", code=1)
    assert told.startswith("error: params.yaml: synthesize.perturb.candidates needs 59.6 TiB, there are ")
    assert told.count("\n") == 1
