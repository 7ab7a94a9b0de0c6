"""A training is seen in the workspace while it runs; the curves of a killed one are whole when the next has ended."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.latents.view_rows import write_card
from pipeline.runtime.files import folder_digest
from pipeline.training.curve import epochs_in
from tests.helpers.make import latents_store, tiny_params, write_params
from tests.stages.test_stages import ENVIRONMENT, command, run

EPOCHS = 60
CURVES = Path("curves")


def wait_for(reached):
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_curves_grow_while_a_stage_runs_and_outlive_its_kill():
    write_params(Path(), tiny_params(teacher__optimiser__epochs=EPOCHS))
    latents_store(Path("id"))
    write_card(Path("views"), 0)
    stage = command("stages.teacher", "encoder", "id", "views", "id", "teachers", CURVES, "--workers", 1)
    running = subprocess.Popen(stage, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    wait_for(lambda: epochs_in(CURVES / "1.csv") > 1)
    assert epochs_in(CURVES / "0.csv") == EPOCHS
    assert not Path("teachers").exists()
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    shutil.rmtree(CURVES)  # as DVC does with every output of a stage that it runs
    for output, curves in (("teachers", CURVES), ("others", "whole")):
        assert run("stages.teacher", "encoder", "id", "views", "id", output, curves)[0] == 0
    assert {path.name: epochs_in(path) for path in CURVES.iterdir()} == {"0.csv": EPOCHS, "1.csv": EPOCHS}
    assert folder_digest(CURVES) == folder_digest(Path("whole"))
