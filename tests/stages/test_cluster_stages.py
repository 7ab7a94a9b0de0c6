"""Stages on a Ray cluster leave the bytes of one process, whatever is killed in the middle."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from benchmarks.cluster.local import local_cluster
from pipeline.latents.view_rows import write_card as write_views_card
from pipeline.networks.pretrained_teacher import write_card
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import folder_digest
from pipeline.store import format as layout
from stages.encode import encode
from stages.synthesize import synthesize
from stages.teacher import teacher
from stages.train import train
from tests.helpers.make import ROOT, denoiser_of, latents_store, outliers_store, tiny_params, write_params
from tests.helpers.models import write_encoder
from tests.runtime.test_units import is_alive

ID, SHARDS = Path("id"), 12
VIEWS = Path("views")
STAGE = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # of a process that a shell began in the background it is off
import pipeline.store.format as layout
layout.SHARD_BYTES = 2**15  # 256 rows
sys.argv = ["synthesize", "label_mixup", "id", "models/denoiser/label_mixup", sys.argv[1]]
runpy.run_module("stages.synthesize", run_name="__main__")
"""


def made(method, output, ray=None, **changes):
    own = {"synthesize__methods": [method], f"synthesize__{method}__rows": 256 * SHARDS - 9}
    params = write_params(Path(), tiny_params(**own | changes))
    synthesize(method, ID, denoiser_of(method), Path(output), params, ray=ray, batch_rows=256)
    return folder_digest(Path(output))


@pytest.fixture
def id_latents(monkeypatch):
    monkeypatch.setattr(layout, "SHARD_BYTES", 2**15)
    latents_store(ID)


def shards():
    return len(list(Path().glob(".work/*/*/latent/c/*/0/0/0")))


def kill_at_first_shard(kill):
    """Call `kill` once, as soon as there is a shard; return the thread that does and what it killed."""
    killed = []

    def watch():
        while not shards():
            time.sleep(0.005)
        killed.extend(kill())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread, killed


@pytest.mark.parametrize("method", ["perturb", "mixup"])
def test_outliers_are_the_same_bytes(cluster, id_latents, method):
    assert made(method, "b", cluster.address) == made(method, "a")


def test_outliers_are_the_same_bytes_when_a_worker_is_killed(cluster, id_latents):
    def kill():
        worker = cluster.workers()[0]
        worker.kill()
        return [worker.pid]

    thread, killed = kill_at_first_shard(kill)
    found = made("label_mixup", "b", cluster.address)
    thread.join()
    assert killed
    assert found == made("label_mixup", "a")


@pytest.mark.slow
def test_outliers_are_the_same_bytes_when_a_machine_is_lost(cluster, id_latents):
    with local_cluster(1, 1, token=cluster.token) as other:
        thread, killed = kill_at_first_shard(other.lose_last_machine)
        found = made("label_mixup", "b", other.address)
        thread.join()
    assert killed
    assert found == made("label_mixup", "a")


def test_rows_that_a_method_cannot_make_are_the_same_error(cluster, id_latents):
    with pytest.raises(PipelineError, match=r"^synthesize.perturb, rows \d+ to \d+ .*: values reach .* within float16"):
        made("perturb", "b", cluster.address, synthesize__perturb__sigma=1e6)
    assert not Path("b").exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_driver_and_what_they_made_is_kept(cluster, id_latents, how):
    wanted = made("label_mixup", "a")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    stage = [sys.executable, "-c", STAGE, "b"]
    driver = subprocess.Popen(stage, env=environment | cluster.environment, stderr=subprocess.DEVNULL)
    while not shards():
        assert driver.poll() is None
        time.sleep(0.005)
    workers = cluster.workers()
    driver.send_signal(how)
    assert driver.wait(20) != 0
    deadline = time.monotonic() + 20
    while any(is_alive(worker.pid) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [worker for worker in workers if is_alive(worker.pid)] == []
    kept = shards()
    assert 0 < kept < SHARDS
    assert not Path("b").exists()
    done = subprocess.run(stage, env=environment, capture_output=True, text=True, check=True)
    assert f"{256 * SHARDS - 9}/{256 * SHARDS - 9}" in done.stderr
    assert folder_digest(Path("b")) == wanted


def test_latents_are_the_same_bytes(cluster, monkeypatch):
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    torch.manual_seed(0)
    write_encoder(Path("encoder"))
    params = write_params(Path(), tiny_params())
    for output, ray in (("a", None), ("b", cluster.address)):
        encode("id_train", Path("encoder"), Path(output), params, ray)
    assert len(list(Path("b/latent/c").iterdir())) > 2
    assert folder_digest(Path("b")) == folder_digest(Path("a"))


def test_networks_are_the_same_bytes(cluster):
    latents_store(ID)
    outliers_store(Path("outliers/mixup"))
    params = write_params(Path(), tiny_params(synthesize__methods=["mixup"]))
    write_card(Path("pretrained"), None)
    write_views_card(VIEWS, 0)
    found = {}
    for workers, ray in ((2, None), (None, cluster.address)):
        outputs = [Path("made") / name for name in ("teacher", "detector")]
        curves = [Path("curves") / output.name for output in outputs]
        teacher(Path("encoder"), ID, VIEWS, ID, outputs[0], curves[0], params, workers, ray)
        inputs = (ID, VIEWS, ID, Path("outliers"), outputs[0], Path("pretrained"))
        train(*inputs, outputs[1], curves[1], params, workers, ray)
        found[ray] = [folder_digest(path) for path in (*outputs, *curves)]
        shutil.rmtree("made")
    assert found[cluster.address] == found[None]
