"""One command checks every output of a project: stores, models, tables, figures, reports and what has no manifest."""

from pathlib import Path

import pytest
from rich.console import Console

from pipeline.commands.verify import verify_project
from pipeline.runtime.errors import DamagedOutputError
from pipeline.runtime.files import write_bytes, write_json
from pipeline.runtime.manifest import seal
from tests.helpers.make import latents_store, outliers_store
from tests.helpers.project import call, make_repository

OUTPUTS = (
    "data/outliers/mixup",
    "data/probes",
    "models/teacher",
    "models/decision",
    "reports/metrics.json",
    "reports/curves",
)
DAMAGED = (
    "data/outliers/mixup/lam/c/0",
    "data/outliers/mixup/zarr.json",
    "data/probes/jpeg/label/c/0",
    "data/probes/jpeg/manifest.json",
    "models/teacher/0/model.safetensors",
    "models/teacher/manifest.json",
    "models/decision/0.json",
    "reports/metrics.json",
    "reports/curves/0.csv",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with one output of each kind, recorded by DVC."""
    folder = tmp_path_factory.mktemp("verified") / "project"
    outliers_store(folder / "data/outliers/mixup")
    latents_store(folder / "data/probes/jpeg")
    write_bytes(folder / "models/teacher/0/model.safetensors", b"weights")
    write_json(folder / "models/decision/0.json", {"threshold": 0.5})
    for name in ("data/probes", "models/teacher", "models/decision"):
        seal(folder / name)
    write_json(folder / "reports/metrics.json", {"auroc": 0.9})
    write_bytes(folder / "reports/curves/0.csv", b"epoch,loss\n1,2\n")
    make_repository(folder)
    call(folder, "dvc", "add", "--quiet", *OUTPUTS)
    return folder


@pytest.fixture(autouse=True)
def inside(made, monkeypatch):
    monkeypatch.chdir(made)


def verified(capsys, *, whole):
    if whole:
        verify_project(Console(width=300))
    else:
        with pytest.raises(DamagedOutputError, match="this project: found 1 damaged outputs of 6, wanted none"):
            verify_project(Console(width=300))
    return capsys.readouterr().out


def test_a_whole_project_is_whole(capsys):
    assert verified(capsys, whole=True) == "6 outputs: 6 whole\n"


@pytest.mark.parametrize("name", DAMAGED)
def test_a_flipped_byte_of_any_output_is_found(name, capsys):
    path, content = Path(name), Path(name).read_bytes()
    path.unlink()  # it may be a link into DVC's cache
    path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    told = verified(capsys, whole=False)
    path.write_bytes(content)
    [output] = [output for output in OUTPUTS if path.is_relative_to(output)]
    assert told.startswith(f"damaged: {output}: {path}: found ")


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_file_too_many_is_found_and_what_is_not_here_is_said(output, capsys):
    path = Path(output)
    if path.is_dir():
        (path / "extra.partial").write_bytes(b"x")
        assert f"{output}/extra.partial: found a file" in verified(capsys, whole=False)
        (path / "extra.partial").unlink()
    path.rename("elsewhere")
    told = verified(capsys, whole=True)
    Path("elsewhere").rename(path)
    lines = [f"not here: {output}: `dvc repro` makes it, `dvc pull` fetches it", "6 outputs: 5 whole, 1 not here"]
    assert told.splitlines() == lines


def test_the_command_checks_everything_or_one_store(made):
    assert "6 outputs: 6 whole" in call(made, "latent-outliers", "verify")
    assert "whole; 40 rows of outliers" in call(made, "latent-outliers", "verify", "data/outliers/mixup")
    assert "wants the path of a store" in call(made, "latent-outliers", "verify", "--rev", "HEAD", code=2)
