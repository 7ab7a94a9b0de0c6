"""The outputs of a pretrained teacher are only read for the images and classes they are of."""

from pathlib import Path

import pytest
import torch

from pipeline.networks.pretrained_teacher import load_pretrained_teacher, read_card
from pipeline.runtime.errors import IncompatibleStoreError, ModelError
from stages.pretrained_teacher import pretrained_teacher
from tests.helpers.make import tiny_params, write_params
from tests.networks.tiny import CLASSES, OUT, header, make, outputs, save_model


def test_the_reader_returns_the_outputs_for_these_latents():
    save_model()
    make()
    found = load_pretrained_teacher(OUT, header())
    assert all(torch.equal(one, other) for one, other in zip(found, outputs(), strict=True))
    assert read_card(OUT, header()).class_names == CLASSES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": tuple("abcdefgh")}, "its class list is"),
        ({"rows": 3}, "its number of rows is .*, wanted 3"),
        ({"provenance": {"source": {}, "part": "train"}}, "its image set is"),
    ],
)
def test_outputs_of_other_images_are_refused(changes, message):
    save_model()
    make()
    with pytest.raises(IncompatibleStoreError, match=message):
        load_pretrained_teacher(OUT, header(**changes))


@pytest.mark.parametrize("damage", ["missing", "empty", "other format"])
def test_a_damaged_card_is_refused(damage):
    pretrained_teacher(OUT, write_params(Path(), tiny_params()))
    card = OUT / "card.json"
    card.write_text("" if damage == "empty" else card.read_text().replace("teacher/2", "teacher/1"))
    if damage == "missing":
        card.unlink()
    with pytest.raises(ModelError, match="card.json: no card of a teacher could be read"):
        read_card(OUT, header())


def test_a_flipped_byte_in_the_outputs_is_noticed():
    save_model()
    make()
    path = OUT / "outputs.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="outputs.safetensors: found SHA-256 .*The file is damaged"):
        load_pretrained_teacher(OUT, header())
