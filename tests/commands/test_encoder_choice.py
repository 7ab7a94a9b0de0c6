"""A new project takes the encoder that is asked for, else the best that is at hand, and says which and why."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands import encoder_choice as module
from pipeline.commands.compose import preset_text
from pipeline.commands.encoder_choice import Backbone, EncoderChoice, choose_encoder
from pipeline.networks.encoders.hub_commit import HubCommit
from pipeline.params.all_params import load_all
from pipeline.runtime.errors import MissingExtraError, ModelError
from pipeline.schema.reader import read_yaml
from pipeline.schema.text import load_yaml
from tests.commands.test_new_project import PROJECT, make, pictures
from tests.helpers.make import ROOT
from tests.helpers.models import write_backbone
from tests.images.hub_server import hub_server
from tests.images.hugging import COMMIT
from tests.stages.test_stages import ENVIRONMENT

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
GIVEN = Path("given")


@pytest.fixture
def given():
    write_backbone(GIVEN, "dinov2")
    return GIVEN


def test_a_backbone_sets_what_depends_on_it(photos, given):
    told = make(photos, encoder=str(given))
    params = read_yaml(PROJECT / "params.yaml")
    encoder = params["encoder"]
    assert encoder["kind"] == "transformers"
    assert encoder["transformers"] == {"source": str(given.resolve()), "revision": None, "layer": None}
    reduced = (encoder["channels"], encoder["side"])
    assert (reduced, params["data"]["image_size"], params["views"]["count"]) == ((None, 2), 64, 2)
    assert params["teacher"]["network"] == {"width": 32, "blocks": [1], "latent_mean": True}
    assert params["encode"]["batch_size"] == 16
    assert (params["teacher"]["start"], params["train"]["start"]) == ("scratch", "teacher")
    assert params["synthesize"]["methods"] == ["perturb", "mixup"]
    assert load_all(PROJECT / "params.yaml").encoder.kind == "transformers"
    assert f"encoder: transformers, the pretrained backbone {given.resolve()}, as --encoder says" in told
    assert (
        "image_size 64, which the backbone was made for; 32 channels at 2 x 2 places kept; views.count 2: each" in told
    )
    assert "of about 40 pixels a side, are enlarged to 64" in told
    assert re.search(r"encoding 30 images and 36 views of them will take about \d+ (s|min) on this machine", told)


def test_a_map_of_one_place_stays_as_it_is_and_large_images_are_not_called_enlarged(given):
    found = choose_encoder(str(given)).backbone
    small = Backbone(found.params, found.model, 64, 384, side=1)
    told = " ".join(EncoderChoice("transformers", "", small).lines(median_side=64))
    assert "384 channels at 1 x 1 places kept" in told
    assert "enlarged" not in told
    content = load_yaml(preset_text(ROOT / "presets/imagefolder.yaml"))
    EncoderChoice("transformers", "", small).set_in(content)
    assert content["encoder"]["side"] is None


@pytest.mark.parametrize("kind", ["supervised", "trained"])
def test_an_encoder_that_is_trained_here_is_chosen_by_its_name(photos, kind):
    told = make(photos, encoder=kind)
    epochs = {"supervised": 150, "trained": 24}[kind]
    params = read_yaml(PROJECT / "params.yaml")
    assert (params["encoder"]["kind"], params["encoder"]["transformers"]) == (kind, None)
    starts = {"supervised": ("encoder", "teacher"), "trained": ("scratch", "scratch")}[kind]
    assert (params["teacher"]["start"], params["train"]["start"]) == starts
    assert f"encoder: {kind} (a small " in told
    assert f"image_size 32, encoder.{kind}.epochs {epochs}, views.count 8" in told
    assert re.search(
        r"training the encoder will take about \d+ (s|min), encoding 30 images and 144 views of them", told
    )


def test_without_a_hub_it_is_supervised_and_says_why_and_how_to_get_a_backbone(photos):
    told = make(photos)
    assert read_yaml(PROJECT / "params.yaml")["encoder"]["kind"] == "supervised"
    assert "encoder: supervised (a small classifier of pixels, trained on these photographs), as " in told
    assert "as facebook/dinov2-small is not at hand (" in told
    assert "--encoder FOLDER_OR_ID takes one, with the extra: pip install -c constraints.txt -e '.[pretrained]'" in told


def without_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)


def test_without_the_extra_no_hub_is_asked(monkeypatch):
    without_transformers(monkeypatch)
    monkeypatch.setattr(module, "commit_at_hand", None)
    assert choose_encoder(None) == EncoderChoice("supervised", "as the extra `pretrained` is not installed")


def test_a_backbone_that_is_asked_for_wants_the_extra(monkeypatch, given):
    without_transformers(monkeypatch)
    with pytest.raises(MissingExtraError, match=r"--encoder needs the package transformers.*'\.\[pretrained\]'"):
        choose_encoder(str(given))


def test_a_default_that_cannot_be_read_is_a_reason_and_no_error(monkeypatch):
    monkeypatch.setattr(module, "commit_at_hand", lambda *_: HubCommit(COMMIT, ""))
    choice = choose_encoder(None)  # nothing can be fetched from there
    assert choice.kind == "supervised"
    assert choice.reason.startswith("as facebook/dinov2-small could not be read (")


def chosen(hub, home, *arguments, offline="0"):
    """Run the command in a process whose hub is at `hub`, and return how it ended."""
    environment = ENVIRONMENT | {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": offline, "HF_HOME": str(home)}
    command = [
        Path(sys.executable).with_name("latent-outliers"),
        "new-project",
        "owls",
        "--images",
        "photos",
        *arguments,
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_default_is_pinned_to_the_commit_of_the_hub_and_at_hand_in_its_cache(photos, given, tmp_path):
    with hub_server(given, module.DEFAULT) as endpoint:
        done = chosen(endpoint, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    found = read_yaml(PROJECT / "params.yaml")["encoder"]["transformers"]
    assert found == {"source": module.DEFAULT, "revision": COMMIT, "layer": None}
    assert f"backbone {module.DEFAULT} at commit {COMMIT[:12]}, the best at hand" in done.stdout
    PROJECT.rename("before")
    again = chosen(endpoint, tmp_path / "home", offline="1")
    assert again.returncode == 0, again.stderr
    assert f"backbone {module.DEFAULT} at commit {COMMIT[:12]}, found in the hub's cache" in again.stdout


def lose_config(folder):
    (folder / "config.json").unlink()


def lose_weights(folder):
    (folder / "model.safetensors").unlink()


def pickle_weights(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def describe_text(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


def describe_nothing(folder):
    (folder / "config.json").write_text('{"model_type": "none of them"}')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose_config, "given: found no config.json, wanted a vision backbone of transformers"),
        (lose_weights, "given: found no weights, wanted a vision backbone"),
        (pickle_weights, "given: found weights in pytorch_model.bin only, which could run code, wanted"),
        (describe_text, "given: found a BertModel, whose input is input_ids, wanted a vision backbone"),
        (describe_nothing, "config.json: describes no vision model of transformers"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "found no image_mean and image_std"),
    ],
)
def test_a_folder_that_is_no_backbone_is_one_error_before_anything_is_made(photos, given, damage, message):
    damage(given)
    with pytest.raises(ModelError, match=message):
        make(photos, encoder=str(given))
    assert not PROJECT.exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("photos/barn/0.png", "found a file, wanted the folder of a backbone.*encoder.kind onnx"),
        (
            "../nowhere",
            "found no such folder, and no id on the hub has this form. Wanted supervised, trained, a folder",
        ),
        (
            "supervized",
            "supervized: neither a folder here nor .* Kinds that are trained here are supervised and trained",
        ),
        ("onnx", "onnx: found a kind that `new-project` does not set up. Set encoder.kind in params.yaml"),
    ],
)
def test_what_names_no_encoder_is_one_error(asked, message):
    pictures("photos", ["barn"], 1)
    with pytest.raises(ModelError, match=message):
        choose_encoder(asked)
