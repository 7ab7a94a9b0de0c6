"""Exported images are what the encoder decodes, listed as OpenOOD reads them, and whole or not there."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.commands import export
from pipeline.commands.export import export_images
from pipeline.latents.standardising import to_scaled
from pipeline.runtime.errors import OverwriteError
from pipeline.runtime.files import folder_digest
from pipeline.store import format as layout
from pipeline.store.format import Standardisation
from pipeline.store.reader import Store
from tests.helpers.make import SPACE, latents_store, outliers_store
from tests.helpers.models import write_encoder
from tests.stages.test_stages import ENVIRONMENT

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
SCALE = Standardisation(mean=(0.5,) * 4, std=(2.0,) * 4)


@pytest.fixture
def decoder(tmp_path):
    """An encoder as its stage leaves it, in models/encoder."""
    torch.manual_seed(0)
    return write_encoder(tmp_path / "models/encoder").encoder


@pytest.fixture
def space(decoder, tmp_path):
    return SPACE.model_copy(update={"encoder": folder_digest(tmp_path / "models/encoder")})


@pytest.fixture
def outliers(tmp_path, space, monkeypatch):
    """300 outliers in two shards."""
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    store = Store(outliers_store(tmp_path / "data/outliers/mixup", rows=300, space=space, standardisation=SCALE))
    assert len(store.shards) == 2
    return store


def listed(folder):
    """Return names and labels as OpenOOD's ImglistDataset splits them."""
    return [line.split(" ", 1) for line in (folder / "list.txt").read_text().splitlines()]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_images_are_those_of_the_decoder_one_by_one(tmp_path, outliers, decoder):
    assert export_images(outliers, decoder, tmp_path / "out", "png", None) == 300
    scaled = to_scaled(torch.from_numpy(outliers.latents().astype(np.float32)), SCALE)
    for row in (0, 31, 32, 255, 256, 299):
        wanted = (decoder.decode(scaled[row : row + 1])[0].permute(1, 2, 0).numpy().astype(np.float64) + 1) / 2 * 255
        found = pixels(tmp_path / f"out/images/{row:03d}.png")
        assert found.shape == (32, 32, 3)
        assert np.abs(found - wanted).max() <= 0.5 + 1e-3


def test_the_list_names_every_image_as_out_of_distribution(tmp_path, outliers, decoder):
    export_images(outliers, decoder, tmp_path / "out", "png", None)
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out/images").iterdir())
    assert listed(tmp_path / "out") == [[name, "-1"] for name in names]
    assert len(names) == 300


def test_latents_of_an_image_set_keep_their_labels_and_are_not_scaled_again(tmp_path, decoder, space):
    store = Store(latents_store(tmp_path / "s", per_class=3, space=space, standardisation=SCALE))
    export_images(store, decoder, tmp_path / "out", "png", None)
    assert [label for _, label in listed(tmp_path / "out")] == ["0"] * 3 + ["1"] * 3 + ["2"] * 3
    latents = torch.from_numpy(store.latents().astype(np.float32))
    wanted = export.decoded_pixels(latents, decoder)[4]
    np.testing.assert_array_equal(pixels(tmp_path / "out/images/4.png"), wanted)


def test_a_limit_takes_rows_from_the_whole_store_and_changes_no_image(tmp_path, outliers, decoder):
    export_images(outliers, decoder, tmp_path / "all", "png", None)
    assert export_images(outliers, decoder, tmp_path / "few", "png", 4) == 4
    assert [name for name, _ in listed(tmp_path / "few")] == [f"images/{row:03d}.png" for row in (0, 99, 199, 299)]
    for name, _ in listed(tmp_path / "few"):
        assert (tmp_path / "few" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()


def test_jpeg_images_are_nearly_the_same(tmp_path, outliers, decoder):
    for kind in ("png", "jpeg"):
        export_images(outliers, decoder, tmp_path / kind, kind, 2)
    [(png, _), _], [(jpeg, _), _] = listed(tmp_path / "png"), listed(tmp_path / "jpeg")
    with Image.open(tmp_path / "jpeg" / jpeg) as image:
        assert image.format == "JPEG"
    difference = pixels(tmp_path / "png" / png).astype(int) - pixels(tmp_path / "jpeg" / jpeg)
    assert 0 < np.abs(difference).mean() < 4


def test_what_was_exported_says_where_it_comes_from(tmp_path, outliers, decoder, space):
    export_images(outliers, decoder, tmp_path / "out", "png", 4)
    facts = json.loads((tmp_path / "out/export.json").read_text())
    assert (facts["manifest_sha256"], facts["encoder"]) == (outliers.digest, space.encoder)
    assert (facts["rows"], facts["rows_of_store"], facts["image_format"]) == (4, 300, "png")


def test_a_folder_that_is_there_is_left_alone(tmp_path, outliers, decoder):
    (tmp_path / "out").mkdir()
    message = "out: found an existing file or folder, wanted a new folder. Delete it, or"
    with pytest.raises(OverwriteError, match=message):
        export_images(outliers, decoder, tmp_path / "out", "png", None)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_export_that_fails_midway_leaves_nothing(tmp_path, outliers, decoder, monkeypatch):
    write, calls = export.Image.Image.save, []

    def write_or_fail(self, path, *arguments, **options):
        calls.append(path)
        if len(calls) == 40:
            raise KeyboardInterrupt
        write(self, path, *arguments, **options)

    monkeypatch.setattr(export.Image.Image, "save", write_or_fail)
    with pytest.raises(KeyboardInterrupt):
        export_images(outliers, decoder, tmp_path / "exported/out", "png", None)
    assert calls[0].is_relative_to(tmp_path / "exported")
    assert list((tmp_path / "exported").iterdir()) == []


def test_what_a_killed_export_left_goes_with_the_next_one(tmp_path, outliers, decoder):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    (tmp_path / f"out.{platform.node()}.{gone.pid}.partial/images").mkdir(parents=True)
    export_images(outliers, decoder, tmp_path / "out", "png", 1)
    assert [path.name for path in tmp_path.glob("out*")] == ["out"]


def command(*arguments):
    script = Path(sys.executable).with_name("latent-outliers")
    return subprocess.run([script, "export", *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_the_command_exports_and_says_what(outliers):
    done = command("data/outliers/mixup", "--to", "images", "--limit", "3")
    assert done.stdout == "images: 3 images of data/outliers/mixup, named in images/list.txt\n"
    assert len(listed(Path("images"))) == 3


def test_a_folder_that_is_there_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "out").mkdir()
    done = command("no/store", "--to", "out", "--encoder", "no/model")
    assert (done.returncode, done.stderr.split(":")[1]) == (1, " out")


def test_rows_of_another_encoder_are_not_decoded(tmp_path, decoder):
    outliers_store(tmp_path / "data/outliers/other")
    done = command("data/outliers/other", "--to", "images")
    assert (done.returncode, Path("images").exists()) == (1, False)
    assert done.stderr.startswith("error: data/outliers/other: its encoder is 'abc', wanted")
