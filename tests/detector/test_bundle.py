"""A bundle comes back as it was written; anything else under its name is refused in one line."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.detector import bundle as layout
from pipeline.detector.bundle import bundle_files, copy_bundle, read_bundle, write_bundle
from pipeline.detector.bundle_card import sealed
from pipeline.params.infer import SCORES
from pipeline.posthoc.fitted import score_class
from pipeline.runtime.errors import BundleError
from pipeline.runtime.files import digest, file_digest, folder_digest, json_bytes
from tests.detector.make import INFER, decision, tiny_bundle, tiny_bundle_parts

FILES = (
    "bundle.json",
    "network.safetensors",
    "scorer.safetensors",
    "encoder/encoder.json",
    "encoder/model/config.json",
    "encoder/model/diffusion_pytorch_model.safetensors",
)
FOLDER = Path("bundle")


@pytest.fixture
def whole():
    return tiny_bundle(FOLDER)


def rewritten(change):
    """Change the content of bundle.json and seal it again, as a program that means harm would."""
    content = json.loads((FOLDER / "bundle.json").read_bytes())
    del content["digest"]
    change(content)
    (FOLDER / "bundle.json").write_bytes(sealed(content))


def test_a_bundle_comes_back_as_it_was_written(tmp_path):
    parts = tiny_bundle_parts(tmp_path)
    write_bundle(FOLDER, parts, "a card\n")
    loaded = read_bundle(FOLDER)
    assert (loaded.card.network, loaded.card.decision, loaded.card.infer) == (parts.network, parts.decision, INFER)
    assert loaded.card.id_train == parts.id_train
    assert torch.equal(loaded.scorer.tensors["bank"], parts.scorer.tensors["bank"])
    assert set(loaded.network) == set(parts.network.build().state_dict())
    assert folder_digest(FOLDER / "encoder") == parts.network.space.encoder


@pytest.mark.parametrize("score", SCORES)
def test_a_bundle_holds_what_its_score_needs_and_no_more(score, tmp_path):
    parts = tiny_bundle_parts(tmp_path, score)
    write_bundle(FOLDER, parts, "")
    assert set(load_file(FOLDER / "scorer.safetensors")) == {*score_class(score).learns, "id_scores"}
    assert read_bundle(FOLDER).scorer.names == (score,)


def test_the_same_parts_are_the_same_bytes(tmp_path):
    parts = tiny_bundle_parts(tmp_path)
    for name in ("a", "b"):
        write_bundle(Path(name), parts, "a card\n")
    assert folder_digest(Path("a")) == folder_digest(Path("b"))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("keep", [None, 0, 100, -1])
def test_a_missing_empty_or_cut_file_is_refused(whole, file, keep):
    content = (whole / file).read_bytes()
    (whole / file).unlink()
    if keep is not None:
        (whole / file).write_bytes(content[:keep])
    with pytest.raises(BundleError, match="bundle") as raised:
        read_bundle(whole)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_is_refused_wherever_it_is(whole, file):
    content, rng = (whole / file).read_bytes(), np.random.default_rng(0)
    for index in rng.integers(0, len(content), 20):
        broken = bytearray(content)
        broken[index] ^= 1 << int(rng.integers(8))
        (whole / file).write_bytes(broken)
        with pytest.raises(BundleError, match="found"):
            read_bundle(whole)


def test_a_file_that_is_swapped_for_that_of_another_bundle_is_named(whole):
    shutil.copy(tiny_bundle(Path("other"), "vim") / "scorer.safetensors", whole)
    with pytest.raises(BundleError, match=r"bundle/scorer.safetensors: found SHA-256 \w{12}, wanted \w{12}. Copy or"):
        read_bundle(whole)


@pytest.mark.parametrize(
    "name", ["diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model.bin", "more/odd\nname"]
)
def test_a_file_of_the_encoder_that_is_not_listed_is_refused(whole, name):
    """An index would be read in index of the weights that were checked, and name any others."""
    (whole / ".gitattributes").write_text("which a hub adds")
    read_bundle(whole)
    (whole / "encoder/more").mkdir()
    (whole / "encoder" / name).write_text("{}")
    with pytest.raises(BundleError, match=r"bundle/encoder/\S+: found a file that bundle.json does not list") as e:
        read_bundle(whole)
    assert "\n" not in str(e.value)


def test_a_folder_without_bundle_json_is_none():
    FOLDER.mkdir()
    with pytest.raises(BundleError, match="bundle: found no bundle.json, wanted a bundle. Name the folder of a bundle"):
        read_bundle(FOLDER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda card: card.update(format="latent-outliers-bundle/1"),
            "found format 'latent-outliers-bundle/1', w",
        ),
        (lambda card: card.update(colour="red"), "found colour: Extra inputs are not permitted"),
        (lambda card: card["network"].update(colour="red"), "network.colour: Extra inputs are not permitted"),
        (lambda card: card.pop("decision"), "found decision: Field required"),
        (
            lambda card: card["decision"].update(score="vim"),
            r"tensors \['bank', 'id_scores'\], wanted \['id_scores', 'vim_",
        ),
        (lambda card: card["files"].pop("encoder/encoder.json"), "encoder: found digest"),
        (lambda card: card["files"].pop("network.safetensors"), "wanted none in bun"),
        (lambda card: card["files"].update({"../secret": "0"}), "is no file of a bundle"),
        (lambda card: card["files"].update({"encoder/../../secret": "0"}), "is no file of a bundle"),
        (lambda card: card["files"].update({"/etc/hosts": "0"}), "is no file of a bundle"),
        (lambda card: card["files"].update({"": "0"}), "'' is no file of a bundle"),
    ],
)
def test_another_format_unknown_keys_and_strange_files_are_refused(whole, change, message):
    rewritten(change)
    with pytest.raises(BundleError, match=message):
        read_bundle(whole)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "'bank' as nothing, wanted float64"),
        ({"bank": torch.zeros(2, 3, dtype=torch.float64)}, r"'bank' as float64 \[2, 3\], wanted float64 \[90, 8\]"),
        ({"bank": torch.zeros(90, 8)}, r"'bank' as float32 \[90, 8\], wanted float64 \[90, 8\], as in bundle.json"),
    ],
)
def test_tensors_other_than_bundle_json_has_are_refused(whole, tensors, message):
    save_file(tensors, whole / "scorer.safetensors")
    rewritten(lambda card: card["files"].update({"scorer.safetensors": file_digest(whole / "scorer.safetensors")}))
    with pytest.raises(BundleError, match=message):
        read_bundle(whole)


def test_bundle_json_that_was_edited_says_so(whole):
    text = (whole / "bundle.json").read_text()
    (whole / "bundle.json").write_text(text.replace('"threshold": 0.0497', '"threshold": 0.0597'))
    with pytest.raises(BundleError, match="found content that is not what its digest says"):
        read_bundle(whole)


def test_the_digest_of_bundle_json_is_that_of_all_else_in_it(whole):
    content = json.loads((whole / "bundle.json").read_bytes())
    assert content.pop("digest") == digest(json_bytes(content))


def test_a_threshold_for_other_weights_is_refused(tmp_path):
    parts = tiny_bundle_parts(tmp_path)
    other = layout.BundleParts(**vars(parts) | {"decision": decision(0, "0" * 64, "knn")})
    with pytest.raises(BundleError, match="wanted 000000000000, as in the decision. Run `dvc repro`"):
        write_bundle(FOLDER, other, "")
    assert not FOLDER.exists()


def test_another_encoder_is_refused(tmp_path):
    parts = tiny_bundle_parts(tmp_path)
    (parts.encoder / "encoder.json").write_text("{}")
    with pytest.raises(BundleError, match="bundle/encoder: found digest .* as the network. Run `dvc repro`"):
        write_bundle(FOLDER, parts, "")
    assert not (FOLDER / "bundle.json").exists()


def test_a_copy_has_the_files_of_the_bundle_and_no_others(whole):
    (whole / "notes.txt").write_text("mine")
    copy_bundle(read_bundle(whole), Path("copies/one"))
    copied = {path.relative_to("copies/one").as_posix() for path in Path("copies/one").rglob("*") if path.is_file()}
    assert copied == {*FILES, "README.md"} == set(bundle_files(read_bundle(whole)))
    assert [path.name for path in Path("copies").iterdir()] == ["one"]


def test_a_copy_replaces_nothing(whole):
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("years")
    with pytest.raises(BundleError, match="mine: found something there, wanted a new folder"):
        copy_bundle(read_bundle(whole), Path("mine"))
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.tex"]


def test_a_copy_fills_an_empty_folder_and_leaves_what_lies_beside_it(whole):
    beside = [Path("mine.partial/thesis.tex"), Path(f"mine.elsewhere.{os.getpid()}.partial/bundle.json")]
    for file in beside:  # somebody's own, and what another machine writes just now
        file.parent.mkdir()
        file.write_text("years")
    Path("mine").mkdir()
    loaded = read_bundle(whole)
    copy_bundle(loaded, Path("mine"))
    assert read_bundle(Path("mine")).card == loaded.card
    assert [file.read_text() for file in beside] == ["years"] * 2


def test_of_two_copies_to_one_folder_the_first_stays(whole, monkeypatch):
    def finished_meanwhile(folder):
        shutil.copytree(whole, "mine")
        return read_bundle(folder)

    loaded = read_bundle(whole)
    monkeypatch.setattr(layout, "read_bundle", finished_meanwhile)
    with pytest.raises(BundleError, match=r"mine: found .*not empty.*, wanted a copy of bundle\. Name another"):
        copy_bundle(loaded, Path("mine"))
    assert read_bundle(Path("mine")).card == loaded.card
    assert sorted(path.name for path in Path().iterdir()) == ["bundle", "mine"]


def test_a_bundle_that_was_damaged_since_is_not_copied(whole):
    loaded = read_bundle(whole)
    (whole / "network.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match="found SHA-256"):
        copy_bundle(loaded, Path("copy"))
    assert sorted(path.name for path in Path().iterdir()) == ["bundle"]
