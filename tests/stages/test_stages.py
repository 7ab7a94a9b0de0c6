"""Stages as the processes they are: help, exit codes, and errors of one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.latents.view_rows import write_card
from tests.helpers.make import ROOT, changed, default_params, denoiser_of, latents_store, tiny_params, write_params
from tests.helpers.warm import warmed

STAGES = (
    "encoder", "encode", "views", "guard", "probe", "teacher", "pretrained_teacher", "denoiser", "synthesize",
    "quality", "train", "infer", "rival", "score", "bundle",
)  # fmt: skip
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "LATENT_OUTLIERS_DEVICE": "cpu", "HF_HUB_OFFLINE": "1"}


def command(*arguments):
    return [sys.executable, "-m", *map(str, arguments)]


def run(*arguments):
    environment = warmed(ENVIRONMENT)
    done = subprocess.run(
        ["python", *command(*arguments)[1:]], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("stage", STAGES)
def test_help_says_what_the_stage_does(stage):
    code, out, _ = run(f"stages.{stage}", "--help")
    assert code == 0
    assert "--params" in out
    assert "OUTPUT" in out or "METRICS" in out or "REPORT" in out


def test_help_is_quick():
    imports = "import stages.train, sys; sys.exit('torch' in sys.modules or 'zarr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", imports], env=ENVIRONMENT, check=False).returncode == 0


def test_nothing_is_scored_that_the_guard_has_not_passed(tmp_path):
    write_params(tmp_path, tiny_params())
    latents_store(tmp_path / "latents/id_train")
    code, _, err = run("stages.infer", "latents", "probes", "teacher", "detector", "guard.json", "scores")
    assert (code, err) == (1, "error: guard.json: not found; run `dvc repro` or `make repro` to make it.\n")
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_a_missing_argument_is_a_usage_error(stage):
    code, _, err = run(f"stages.{stage}")
    assert code == 2
    assert "Missing argument" in err


def test_a_mistyped_parameter_is_one_line_and_exit_code_1(tmp_path):
    write_params(tmp_path, changed(tiny_params(), synthesize__mixup__lam_mx=0.5))
    code, _, err = run("stages.synthesize", "mixup", "id", "models/denoiser/mixup", "out")
    assert code == 1
    assert err == "error: params.yaml: synthesize.mixup.lam_mx is not a parameter; did you mean 'lam_max'?\n"


def test_a_damaged_store_is_one_line_and_leaves_no_output(tmp_path):
    write_params(tmp_path, tiny_params())
    chunk = latents_store(tmp_path / "id") / "latent/c/0/0/0/0"
    chunk.write_bytes(b"\0" * chunk.stat().st_size)
    code, _, err = run("stages.synthesize", "mixup", "id", "models/denoiser/mixup", "out")
    assert code == 1
    assert err.startswith("error: id/latent/c/0/0/0/0: found CRC-32C")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_command_line_checks_parameters(tmp_path):
    write_params(tmp_path, default_params())
    script = Path(sys.executable).parent / "latent-outliers"
    good = subprocess.run([script, "check"], capture_output=True, text=True, check=True)
    assert good.stdout.startswith("params.yaml: good; 5 seeds")
    bad = subprocess.run([script, "results"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr == "error: reports/metrics.json: not found; run `dvc repro` or `make repro` to make it.\n"


def test_a_store_is_verified_to_the_last_byte(tmp_path):
    script, folder = Path(sys.executable).parent / "latent-outliers", latents_store(tmp_path / "id")
    good = subprocess.run([script, "verify", "id"], capture_output=True, text=True, check=True)
    assert good.stdout.startswith("id: whole; 90 rows of latents in 1 shards, ")
    assert good.stdout.endswith("s per GiB\n")
    chunk = folder / "label/c/0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"!")
    bad = subprocess.run([script, "verify", "id"], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "error: id/label/c/0: found SHA-256" in bad.stderr


def test_a_device_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "LATENT_OUTLIERS_DEVICE", "cdua")
    write_params(tmp_path, tiny_params())
    latents_store(tmp_path / "id")
    write_card(tmp_path / "views", 0)
    code, _, err = run("stages.teacher", "encoder", "id", "views", "id", "out", "curves")
    assert code == 1
    assert err.startswith("error: LATENT_OUTLIERS_DEVICE is 'cdua', which cannot be used")
    assert err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    write_params(tmp_path, tiny_params())
    latents_store(tmp_path / "id")
    denoiser_of("mixup")
    (tmp_path / ".work").write_text("in the way")
    code, _, err = run("stages.synthesize", "mixup", "id", "models/denoiser/mixup", "out")
    assert code == 1
    assert err.startswith("error: [Errno 20] Not a directory: '.work/")
    assert err.count("\n") == 1
