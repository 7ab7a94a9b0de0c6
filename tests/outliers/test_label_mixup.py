"""Label-mixup asks the denoiser for the classes and shares it records, and is refused where it has none."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.outliers.diffusion import guided
from pipeline.outliers.method import Parents, block_generator, block_rows
from pipeline.outliers.methods.label_mixup import LabelMixup
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.label_mixup import LabelMixupParams
from pipeline.runtime.errors import ModelError, PipelineError
from stages.synthesize import synthesize
from tests.helpers.make import SPACE, denoiser_of, latents_store, tiny_params, write_params

PARAMS = LabelMixupParams(rows=256, classes=2, lam_min=0.3, lam_max=0.7, steps=2, guidance=1.0)


def method(**changes):
    parents = Parents(load_id_train(latents_store(Path("id"))), torch.device("cpu"))
    return LabelMixup(parents, PARAMS.model_copy(update=changes), denoiser_of("label_mixup"))


def make(**changes):
    return method(**changes).block(block_rows(1), block_generator(0, "test", 1))


def test_rows_lie_between_two_classes_and_have_no_parents():
    made = make()
    np.testing.assert_array_equal(made.class_a, np.arange(256, 512) % 3)
    assert (made.class_a != made.class_b).all()
    assert made.lam.min() == pytest.approx(0.31, abs=0.01)
    assert made.lam.max() == pytest.approx(0.69, abs=0.01)
    assert set(made.parent_a) == set(made.parent_b) == {NOBODY}
    assert made.values.shape == (256, *SPACE.shape)
    assert not made.extra


def test_rows_of_three_classes_say_all_of_them():
    made = make(classes=3)
    assert [{*row} for row in zip(made.class_a, made.class_b, made.extra["class_3"], strict=True)] == [{0, 1, 2}] * 256
    shares = np.stack([made.lam, made.extra["lam_3"]], axis=1)
    assert shares.min() > 0
    assert shares.max() <= 0.7
    assert 1 - shares.sum(1).min() <= 0.7


def test_the_denoiser_is_asked_for_the_shares_that_are_recorded(monkeypatch):
    asked, mixup = [], method()
    monkeypatch.setattr(mixup, "sample", lambda weights, noise: asked.append(weights) or noise)
    made = mixup.block(block_rows(0), block_generator(0, "test", 0))
    rows = np.arange(256)
    np.testing.assert_allclose(asked[0][rows, made.class_a], made.lam, rtol=1e-6)
    np.testing.assert_allclose(asked[0][rows, made.class_b], 1 - made.lam, rtol=1e-6)
    assert np.count_nonzero(asked[0]) == 512


def test_guidance_goes_from_no_class_towards_and_beyond_the_class():
    condition, nothing = torch.full((2, 1), 5.0), torch.full((2, 1), 3.0)
    predict = [guided(lambda latents, level, given: given + 0 * latents, condition, nothing, g) for g in (0, 1, 2.5)]
    assert [float(one(torch.zeros(2, 1), torch.tensor(0))[0]) for one in predict] == [3.0, 5.0, 8.0]


@pytest.mark.parametrize("steps", [3, 61, 2000])
def test_steps_that_leave_the_levels_are_refused(steps):
    with pytest.raises(PipelineError, match=f"steps is {steps}, wanted a divisor of denoiser.noise_levels, 1000"):
        method(steps=steps)


def test_guidance_of_a_denoiser_that_was_always_told_the_class_is_refused():
    card = denoiser_of("label_mixup") / "denoiser.json"
    card.write_text(card.read_text().replace('"class_dropout": 0.1', '"class_dropout": 0.0'))
    method()
    with pytest.raises(PipelineError, match="guidance is 2.0, which wants a denoiser that was trained without classes"):
        method(guidance=2.0)


def test_more_classes_than_there_are_are_refused():
    with pytest.raises(PipelineError, match="label_mixup.classes is 4, but there are 3 ID classes"):
        method(classes=4)


@pytest.mark.parametrize("made", [[], ["none.json"]])
def test_a_folder_without_a_denoiser_is_one_clear_error(made):
    folder, params = Path("denoiser"), write_params(Path(), tiny_params(synthesize__methods=["label_mixup"]))
    folder.mkdir()
    for name in made:
        (folder / name).write_text("{}")
    with pytest.raises(ModelError, match=r"^denoiser: no denoiser could be read \(.*\)\. Run `dvc repro denoiser`\.$"):
        synthesize("label_mixup", latents_store(Path("id")), folder, Path("out"), params, 1)
    assert not Path("out").exists()
