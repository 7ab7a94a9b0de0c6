"""`inspect` says what a store holds; its statistics are those of a plain loop over the rows."""

import io
import json
import math
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.commands import inspect as inspecting
from pipeline.commands.inspect import describe, draw_rows, load_decoder, print_description
from pipeline.commands.inspect_encoder import describe_encoder, print_encoder
from pipeline.commands.row_statistics import statistics
from pipeline.networks.encoders.encoder import Encoder, load_encoder
from pipeline.networks.encoders.reduction import fit_reduction
from pipeline.networks.encoders.vision_backbone import VisionBackbone
from pipeline.runtime.errors import IncompatibleStoreError
from pipeline.runtime.text.terminal import Console
from pipeline.store import format as layout
from pipeline.store.reader import Store
from tests.helpers.make import SPACE, latents_store, outliers_store, write_store
from tests.helpers.models import encoder_of, random_kl, write_backbone, write_encoder
from tests.stages.test_stages import ENVIRONMENT


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """Outliers of three shards between three classes."""
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    rng, rows = np.random.default_rng(0), 600
    values = (rng.standard_normal((rows, *SPACE.shape)) * rng.uniform(0.5, 2, (rows, 1, 1, 1))).astype(np.float16)
    columns = {
        "class_a": rng.integers(0, 3, rows).astype(np.int32),
        "class_b": rng.integers(0, 2, rows).astype(np.int32),
        "lam": rng.random(rows, np.float32),
    }
    return write_store(tmp_path / "mixed", values, columns, "outliers", ("cat", "dog", "eel")), values, columns


AWKWARD = ("[red]fox", "$10_to_$20", "a\rb\x1b[2J")


def test_awkward_names_of_classes_are_described_and_drawn_as_they_are(tmp_path):
    columns = {name: np.arange(3, dtype=np.int32) for name in ("class_a", "class_b")}
    columns["lam"] = np.ones(3, np.float32)
    values = np.zeros((3, *SPACE.shape), np.float16)
    store = Store(write_store(tmp_path / "$x_$", values, columns, "outliers", AWKWARD))
    out = io.StringIO()
    print_description(describe(store), 3, Console(out, width=140))
    assert all(name in out.getvalue() for name in (*AWKWARD[:2], r"a\rb\x1b[2J"))
    draw_rows(tmp_path / "rows.png", store, encoder_of(random_kl()), 3)
    assert (tmp_path / "rows.png").is_file()


def by_loop(values, columns, names):
    """Return the statistics of each class pair, one row at a time."""
    groups = {}
    for row, value in enumerate(values.astype(np.float64)):
        pair = names[columns["class_a"][row]], names[columns["class_b"][row]]
        rms = math.sqrt(sum(x * x for x in value.flatten()) / value.size)
        groups.setdefault(pair, []).append((float(columns["lam"][row]), rms, max(abs(x) for x in value.flatten())))
    return {pair: np.array(found) for pair, found in groups.items()}


def test_statistics_are_those_of_a_loop(pairs):
    folder, values, columns = pairs
    found = statistics(Store(folder)).groups
    wanted = by_loop(values, columns, ("cat", "dog", "eel"))
    assert [one["rows"] for one in found] == sorted((one["rows"] for one in found), reverse=True)
    assert {(one["class_a"], one["class_b"]) for one in found} == set(wanted)
    for one in found:
        rows = wanted[one["class_a"], one["class_b"]]
        assert one["rows"] == len(rows)
        np.testing.assert_allclose(one["share_of_a"], rows[:, 0].mean(), rtol=1e-6)
        np.testing.assert_allclose((one["rms_mean"], one["rms_std"]), (rows[:, 1].mean(), rows[:, 1].std()), rtol=1e-5)
        assert one["largest"] == rows[:, 2].max()


def test_memory_grows_with_the_pairs_that_there_are_and_not_with_all(tmp_path):
    names, rows = tuple(f"class {number}" for number in range(8000)), 300
    columns = {"label": np.random.default_rng(0).integers(0, 8000, rows).astype(np.int32)}
    store = Store(write_store(tmp_path / "s", np.ones((rows, *SPACE.shape), np.float16), columns, "latents", names))
    tracemalloc.start()
    found = statistics(store).groups
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(entry["rows"] for entry in found) == rows
    assert peak < 2**24


def test_latents_are_described_by_class_and_rows_of_no_class_are_counted(tmp_path):
    values = np.ones((5, *SPACE.shape), np.float16)
    labels = np.array([0, -1, 1, -1, -1], np.int32)
    found = statistics(Store(write_store(tmp_path / "s", values, {"label": labels}, "latents", ("cat", "dog")))).groups
    assert {one["class_a"]: one["rows"] for one in found} == {None: 3, "cat": 1, "dog": 1}


def test_what_is_printed_names_origin_and_pairs(pairs):
    printed = io.StringIO()
    print_description(describe(Store(pairs[0])), 4, Console(file=printed, width=140))
    told = printed.getvalue()
    for words in (
        "600 rows in 3 shards",
        "from encoder",
        "4 x 4 x 4, 128 bytes each, of 32-pixel images",
        ", std 1.",
        "4 of 6",
        "cat, dog, eel",
    ):
        assert words in told


def inspect(*arguments):
    command = [Path(sys.executable).with_name("latent-outliers"), "inspect", *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_the_command_prints_json_that_is_the_description(pairs):
    done = inspect("mixed", "--json")
    assert json.loads(done.stdout) == describe(Store(Path("mixed")))


def test_without_the_encoder_there_is_no_picture_and_a_hint(pairs):
    done = inspect("mixed")
    assert done.returncode == 0
    assert "no picture: models/encoder is not here; `dvc pull encoder` fetches it" in done.stdout


@pytest.fixture
def decoder(tmp_path):
    """An encoder as its stage leaves it, and a latent space that it made."""
    digest = write_encoder(tmp_path / "decoder").digest
    return SPACE.model_copy(update={"encoder": digest})


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [latents_store, outliers_store])
def test_rows_are_drawn_as_a_grid_of_their_decoded_images(tmp_path, decoder, make):
    folder = make(tmp_path / "s", space=decoder, classes=3)
    draw_rows(tmp_path / "a.png", Store(folder), load_decoder(tmp_path / "decoder", Store(folder)), 20)
    with Image.open(tmp_path / "a.png") as picture:
        width, height = picture.size
        assert (np.asarray(picture.convert("L")) < 250).mean() > 0.3
    assert width > 2 * height  # eight to a line, three lines


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_rows_are_drawn_under_every_class_that_meets_in_them(tmp_path, decoder, monkeypatch):
    drawn, shares = [], {"lam": np.full(40, 0.4), "lam_3": np.full(40, 0.25)}
    classes = {"class_a": np.full(40, 0), "class_b": np.full(40, 1), "class_3": np.full(40, 2)}
    folder = outliers_store(tmp_path / "s", space=decoder, **classes, **shares)
    monkeypatch.setattr(inspecting, "draw_grid", lambda path, lines, heading: drawn.extend(lines))
    draw_rows(tmp_path / "a.png", Store(folder), load_decoder(tmp_path / "decoder", Store(folder)), 2)
    assert drawn[0].titles == ["40% 'class 0'\n+ 35% 'class 1'\n+ 25% 'class 2'"] * 2


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_another_encoder_does_not_decode_them(tmp_path, decoder):
    store = Store(outliers_store(tmp_path / "s"))
    with pytest.raises(IncompatibleStoreError, match=f"its encoder is 'abc', wanted '{decoder.encoder}'"):
        load_decoder(tmp_path / "decoder", store)


def printed(report):
    out = io.StringIO()
    print_description(report, 5, Console(file=out, width=300))
    return out.getvalue()


def test_every_skipped_file_is_listed_by_reason(tmp_path):
    report = describe(Store(latents_store(tmp_path / "id_train")))
    files = {"digest": "d", "found": 33, "parts": {"train": 20, "test": 10}, "repeated": 4, "skipped": {"damaged": 3}}
    listed = files | {"skipped_files": {"damaged": ["a.png", "[b].png", "c\nd.png"]}}
    found = printed(report | {"provenance": {"files": listed}})
    assert "33 found = 20 for train + 10 for test + 3 skipped; 4 are copies" in found
    assert "a.png, [b].png, c\\nd.png" in found
    assert printed(report | {"provenance": {"files": files}}).count("damaged") == 1


def test_values_of_all_rows_are_those_of_a_loop(pairs):
    folder, values, _ = pairs
    found, flat = statistics(Store(folder)).values, [float(value) for value in values.flatten()]
    mean = sum(flat) / len(flat)
    std = math.sqrt(sum((value - mean) ** 2 for value in flat) / len(flat))
    assert found == pytest.approx({"mean": mean, "std": std, "smallest": min(flat), "largest": max(flat)}, rel=1e-5)


@pytest.fixture
def backbone(tmp_path):
    """An encoder that cannot decode, as its stage leaves it, with 5 of 32 channels; and its digest."""
    write_backbone(tmp_path / "given", "vit")
    model = VisionBackbone.read(tmp_path / "given", None)
    reduction = fit_reduction([model.encode(torch.rand(4, 3, 32, 32))], 5, None)
    Encoder(model, reduction).save(tmp_path / "models/encoder", 32)
    return load_encoder(tmp_path / "models/encoder")


def test_an_encoder_is_described_with_its_width_and_what_its_reduction_keeps(backbone, monkeypatch):
    monkeypatch.setattr("pipeline.commands.encoder_speed.ENOUGH", 0.0)
    report = describe_encoder(Path("models/encoder"))
    assert (report["kind"], report["shape"], report["bytes_per_image"]) == ("transformers", [5, 2, 2], 40)
    assert report["reduction"] == {
        "channels": 5, "variance": backbone.card.reduction.variance, "side": 2, "pools": False, "of_channels": 32,
    }  # fmt: skip
    assert report["seconds_per_image"] > 0
    out = io.StringIO()
    print_encoder(report, Console(out, width=140))
    told = out.getvalue()
    assert "5 x 2 x 2, 40 bytes each, of 32-pixel images" in told
    assert f"5 principal channels of 32; {100 * report['reduction']['variance']:.1f} % of the variance is kept" in told
    assert "no: pictures are of images and parents" in told
    assert "ms an image on cpu, measured now" in told


def test_the_command_describes_an_encoder_and_draws_no_rows_that_it_cannot_decode(backbone, tmp_path):
    done = inspect("models/encoder", "--json")
    assert json.loads(done.stdout)["digest"] == backbone.digest
    latents_store(tmp_path / "s", space=SPACE.model_copy(update={"encoder": backbone.digest}))
    done = inspect("s")
    assert done.returncode == 0, done.stderr
    assert "no picture: models/encoder is of kind transformers, which cannot decode" in done.stdout
