"""The stage writes the rival that the parameters name, or that there is none."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.params.data import DataParams
from pipeline.posthoc.rival import SIDE, read_rival
from pipeline.runtime.files import write_json
from stages.encode import encode
from stages.encoder import encoder
from stages.guard import guard
from stages.rival import rival
from tests.helpers.make import section, tiny_params, write_params

LATENTS, GUARD, OUT = Path("data/latents"), Path("reports/guard.json"), Path("data/rival")
SETS = ("id_validation", "id_test", "held_out")


def parameters(kind):
    content = tiny_params(rival__kind=kind, rival__cnn__epochs=1)
    content["data"]["sets"] = {
        name: chosen for name, chosen in content["data"]["sets"].items() if name in ("id_train", *SETS)
    }
    return content


def made(kind):
    """Run the stage after those that it waits for, and return its content."""
    content = parameters(kind)
    params = write_params(Path(), content)
    encoder(Path("models/encoder"), Path("reports/encoder.csv"), params)
    for name in content["data"]["sets"]:
        encode(name, Path("models/encoder"), LATENTS / name, params)
    guard(LATENTS, GUARD, Path("data/guarded.json"), params)
    rival(LATENTS, GUARD, OUT, params)
    return read_rival(OUT)


@pytest.mark.parametrize(("kind", "seeds"), [("cnn", (0, 1)), ("regression", (0,))])
def test_a_rival_judges_every_image_of_every_set(kind, seeds):
    found = made(kind)
    assert (found.kind, found.table.seeds, found.table.sides) == (kind, seeds, (SIDE,))
    data = section(DataParams, parameters(kind)["data"])
    for name in SETS:
        images = data.open(name)
        np.testing.assert_array_equal(found.table.labels[name], images.labels)
        assert found.table.predicted[SIDE, name].shape == (len(seeds), len(images))
    assert np.mean(found.table.accuracy(SIDE)) > 0.3  # of eight digits


def test_without_a_rival_there_is_a_card_and_nothing_else(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    rival(LATENTS, GUARD, OUT, write_params(Path(), parameters("none")))
    assert {path.name for path in OUT.iterdir()} == {"rival.json", "manifest.json"}
    assert json.loads((OUT / "rival.json").read_text()) == {"format": "latent-outliers-rival/1", "kind": "none"}
    assert read_rival(OUT) is None


def test_images_that_no_guard_passed_are_not_looked_at():
    write_json(GUARD, {"format": "another"})
    with pytest.raises(Exception, match="latents"):
        rival(LATENTS, GUARD, OUT, write_params(Path(), parameters("cnn")))
    assert not OUT.exists()
