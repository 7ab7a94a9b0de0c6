"""Presets are whole parameter files, and using one loses nothing that is nowhere else."""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from pipeline.errors import OverwriteError, ParamsError
from pipeline.presets import available, use_preset
from pipeline.schema import load_all
from tests.make import ROOT, changed, default_params, write_params
from tests.project import call, commit, make_repository
from tests.test_stages import ENVIRONMENT

PRESETS = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
PARAMS = Path("params.yaml")


@pytest.fixture(autouse=True)
def project(tmp_path):
    """A folder with the presets and the default parameters, without git."""
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copy(ROOT / "presets/digits.yaml", tmp_path / "params.yaml")


def use(name, *, force=False):
    printed = io.StringIO()
    used = use_preset(name, PARAMS, Console(file=printed, width=200), force=force)
    return used, printed.getvalue()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete_and_valid(name):
    load_all(ROOT / f"presets/{name}.yaml")


def test_the_default_parameters_are_preset_digits():
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "presets/digits.yaml").read_bytes()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_default_losses_outliers_and_score(name):
    preset, default = load_all(ROOT / f"presets/{name}.yaml"), load_all(ROOT / "params.yaml")
    sizes = {"optimiser", "outlier_batch_size"}
    assert preset.train.model_dump(exclude=sizes) == default.train.model_dump(exclude=sizes)
    assert preset.synthesize.methods == default.synthesize.methods
    assert preset.score.headline == default.score.headline


@pytest.mark.parametrize("name", PRESETS)
def test_the_first_line_of_a_preset_says_what_it_is(name):
    words = available(PARAMS)[name]
    assert 40 < len(words) < 120
    assert words.endswith(".")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist"])
def test_what_comes_from_the_hub_is_pinned_to_a_commit(name):
    params = yaml.safe_load((ROOT / f"presets/{name}.yaml").read_text())
    sources = [one for one in params["data"]["sources"].values() if one["kind"].startswith("dataset")]
    pinned = [*sources, *filter(None, [params["autoencoder"]["pretrained"]])]
    assert sources
    assert all(re.fullmatch("[0-9a-f]{40}", one["revision"]) for one in pinned)


@pytest.mark.parametrize("name", PRESETS)
def test_git_ignores_the_local_files_that_presets_name(name, tmp_path):
    make_repository(tmp_path)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for file in re.findall(r": (data/\S+\.parquet)", (ROOT / f"presets/{name}.yaml").read_text()):
        call(tmp_path, "git", "check-ignore", file)


def test_a_preset_takes_the_place_of_the_parameters_and_the_change_is_shown():
    used, shown = use("fashion_mnist")
    assert used
    assert PARAMS.read_bytes() == Path("presets/fashion_mnist.yaml").read_bytes()
    assert "--- params.yaml\n+++ presets/fashion_mnist.yaml\n" in shown
    assert "-      kind: digits\n" in shown
    assert "+      held_out: [Bag, Ankle boot] # classes never trained on: the near-OOD set\n" in shown


def test_the_preset_that_is_there_already_changes_nothing():
    assert use("digits") == (False, "")


def test_a_preset_makes_parameters_where_there_are_none():
    PARAMS.unlink()
    assert use("digits")[0]
    assert load_all(PARAMS).seeds == (0, 1, 2, 3, 4)


def test_parameters_that_are_nowhere_else_are_kept(tmp_path):
    mine = write_params(tmp_path, changed(default_params(), seeds=[7])).read_bytes()
    with pytest.raises(OverwriteError, match="params.yaml: found parameters that are nowhere else, wanted those in"):
        use("fashion_mnist")
    assert PARAMS.read_bytes() == mine
    assert use("fashion_mnist", force=True)[0]


def test_committed_parameters_give_way_and_changed_ones_do_not(tmp_path):
    make_repository(tmp_path)
    write_params(tmp_path, changed(default_params(), seeds=[7]))
    commit(tmp_path, "mine")
    assert use("fashion_mnist")[0]
    write_params(tmp_path, changed(default_params(), seeds=[8]))
    with pytest.raises(OverwriteError, match="Commit the file, or overwrite it with --force"):
        use("fashion_mnist")


def test_a_preset_that_is_not_valid_is_not_used():
    Path("presets/mine.yaml").write_text("seeds: [0]\n")
    before = PARAMS.read_bytes()
    with pytest.raises(ParamsError, match="presets/mine.yaml: data is missing"):
        use("mine")
    assert PARAMS.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "hint"), [("cifar_10", "did you mean 'cifar10'?"), ("zzz", "valid here: cifar10, cifar100")]
)
def test_an_unknown_name_is_named_with_the_nearest(name, hint):
    with pytest.raises(ParamsError) as caught:
        use(name)
    assert str(caught.value).startswith(f"presets: {name!r} is not a preset; {hint}")


def test_elsewhere_than_in_a_project_there_are_no_presets():
    shutil.rmtree("presets")
    with pytest.raises(ParamsError, match="there are none here: run from the project's root"):
        use("digits")


def command(*arguments):
    script = Path(sys.executable).with_name("latent-outliers")
    return subprocess.run([script, "preset", *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_the_command_lists_the_presets_and_uses_one():
    listed = command().stdout
    assert all(f"{name} " in listed for name in PRESETS)
    assert command("fashion_mnist").stdout.endswith("params.yaml: now preset fashion_mnist; `make repro` runs it\n")
    assert command("fashion_mnist").stdout == "params.yaml: is preset fashion_mnist already\n"
    assert command("digits", "--force").returncode == 0


def test_a_refusal_is_one_line_after_the_difference(tmp_path):
    write_params(tmp_path, changed(default_params(), seeds=[7]))
    done = command("digits")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: params.yaml: found parameters that are nowhere else")
    assert "-seeds:" in done.stdout
