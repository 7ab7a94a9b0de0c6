"""A mistake in any section is named so that it can be mended, and so is one in how sections fit each other."""

import pytest

from pipeline.params.all_params import AllParams, load_all
from pipeline.runtime.errors import ParamsError
from tests.helpers.make import ROOT, changed, default_params, section, write_params

NOISE = {"group": "far", "source": "noise", "part": "all"}


def test_a_run_may_use_imported_stores_alone(tmp_path):
    content = changed(default_params(), synthesize__methods=[], synthesize__imported=["theirs"])
    assert load_all(write_params(tmp_path, content)).synthesize.names == ("theirs",)


def problems_of(tmp_path, content):
    with pytest.raises(ParamsError) as caught:
        load_all(write_params(tmp_path, content))
    return str(caught.value)


def test_the_default_file_is_complete():
    assert load_all(ROOT / "params.yaml").seeds == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train__optimiser__epohcs": 3}, "train.optimiser.epohcs is not a parameter; did you mean 'epochs'?"),
        ({"synthesize__mixup__lam_mim": 0.3}, "synthesize.mixup.lam_mim is not a parameter; did you mean 'lam_min'?"),
        ({"trian": {}}, "trian is not a parameter; did you mean 'train'?"),
        ({"data__sources__digits__held_uot": [1]}, "data.sources.digits.held_uot is not a parameter; did you mean"),
        ({"data__sets__noise__grop": "far"}, "data.sets.noise.grop is not a parameter; did you mean 'group'?"),
        ({"score__zzzzz": 1}, "score.zzzzz is not a parameter; valid here: headline, id_rejection"),
        ({"encoder__trained__epochs": 0}, "encoder.trained.epochs is 0: input should be greater than"),
        ({"score__headline": "mps"}, "score.headline is 'mps': not a score; did you mean 'msp'?"),
        ({"synthesize__methods": ["mixup", "mixup"]}, "methods and imported name a store twice: mixup, mixup"),
        ({"synthesize__methods": []}, "synthesize: methods and imported are empty; wanted one store of outliers"),
        ({"synthesize__imported": ["a", "a"]}, "name a store twice: perturb, shuffle, a, a"),
        ({"synthesize__imported": ["../a"]}, "synthesize.imported.0 is '../a': wanted a name of letters"),
        ({"data__sets__../../evil": NOISE}, "data.sets.../../evil is '../../evil': wanted a name of letters"),
        (
            {"data__sets__/evil": NOISE},
            "data.sets./evil is '/evil': wanted a name of letters (a to z), digits, _ and -",
        ),
        ({"data__sets__more noise": NOISE}, "data.sets.more noise is 'more noise': wanted"),
        ({"data__sets__noise\n": NOISE}, "'noise\\n': wanted a name of letters"),
        ({"data__sets__": NOISE}, "data.sets. is '': wanted"),
        (
            {"data__sources__a.b": {"kind": "noise", "images": 1, "pixels": 8, "seed": 0}},
            "data.sources.a.b is 'a.b': wanted",
        ),
        (
            {"synthesize__methods": ["mixup"], "synthesize__imported": ["perturb"]},
            "imported may not have the name of a method: perturb",
        ),
        ({"synthesize__mixup__lam_min": 0.9}, "synthesize.mixup: lam_min 0.9 is above lam_max 0.7"),
        ({"data__sets__noise__source": "nosie"}, "sets.noise.source is 'nosie'; did you mean 'noise'?"),
        ({"data__sets__noise__part": "half"}, "sets.noise.part is 'half'; did you mean 'all'?"),
        ({"data__sets__noise__group": "id"}, "sets.noise.group: 'id' is for id_train, id_validation, id_test"),
        ({"seeds": [0, 2**64]}, "seeds.1 is 18446744073709551616: input should be less than 4294967296"),
        ({"denoiser__seed": 2**32}, "denoiser.seed is 4294967296: input should be less than"),
        ({"data__sources__noise__seed": 2**64}, "data.sources.noise.seed is 18446744073709551616: input should be"),
        ({"seeds": [1, 1]}, "seeds is [1, 1]: it has 1 twice; every value must differ"),
        ({"train__mixing__kinds": ["linear"] * 2}, "train.mixing.kinds is ['linear', 'linear']: it has 'linear' twice"),
        (
            {"synthesize__mixup__kinds": ["masked"] * 2},
            "synthesize.mixup.kinds is ['masked', 'masked']: it has 'masked' twice",
        ),
        (
            {"data__sources__digits__test": 0.8},
            "data.sources.digits: validation 0.15 and test 0.8 leave less than",
        ),
        ({"data__sets__id_test__part": "train"}, "sets.id_test: wanted source 'digits' and part 'test'"),
        ({"data__sets__id_validation": {"group": "id", "source": "noise", "part": "all"}}, "one split for all"),
        ({"data__sets__again": NOISE}, "again is the same images as"),
        ({"synthesize__mixup__rows": True}, "synthesize.mixup.rows is True: input should be a valid integer"),
        ({"encode__batch_size": "64"}, "encode.batch_size is '64': input should be a valid integer"),
        ({"data__image_size": 30}, "data.image_size is 30: input should be a multiple of 8"),
        ({"encoder__trained__channels": [8, 16, 32]}, "encoder.trained.channels.3 is missing"),
        ({"encoder__trained__norm_groups": 3}, "norm_groups 3 does not divide every width"),
        ({"data__sources__photographs__smallest_crop": 300}, "smallest_crop 300 is above largest_crop 200"),
        ({"train__optimiser__learning_rate": float("nan")}, "train.optimiser.learning_rate is nan: input should be"),
    ],
)
def test_a_wrong_value_is_named_with_its_full_path(tmp_path, wrong, message):
    assert message in problems_of(tmp_path, changed(default_params(), **wrong))


LABEL_MIXUP = {"synthesize__methods": ["label_mixup"]}
GAUSSIAN_CLUB = {"synthesize__methods": ["gaussian", "label_mixup"], "train__micl__club__weight": 0.5}
DREAM = {"synthesize__methods": ["dream"], "synthesize__dream__model": {"source": "sd", "revision": None}}
UPPER_HALF = {
    "encoder__kind": "supervised",
    "encoder__supervised__network": {"width": 32, "blocks": [2, 2], "latent_mean": False},
    "teacher__start": "encoder",
}
VAE = {"source": "sd", "subfolder": "vae", "revision": None, "variant": None}


@pytest.mark.parametrize(
    ("wrong", "message", "right"),
    [
        (
            LABEL_MIXUP | {"synthesize__label_mixup__steps": 7},
            "params.yaml: synthesize.label_mixup.steps is 7, wanted a divisor of denoiser.noise_levels, 1000: the",
            {"denoiser__noise_levels": 700},
        ),
        (
            LABEL_MIXUP | {"synthesize__label_mixup__steps": 2000},
            "synthesize.label_mixup.steps is 2000, wanted a divisor of denoiser.noise_levels, 1000",
            {"synthesize__methods": ["mixup"]},
        ),
        (
            LABEL_MIXUP | {"synthesize__label_mixup__guidance": 2.0, "denoiser__class_dropout": 0.0},
            "params.yaml: synthesize.label_mixup.guidance is 2.0, which wants a denoiser that was trained without",
            {"synthesize__label_mixup__guidance": 1.0},
        ),
        (
            GAUSSIAN_CLUB,
            "params.yaml: train.micl.club.weight is 0.5, but no row of gaussian, label_mixup has a parent: set it to 0",
            {"synthesize__imported": ["theirs"]},
        ),
        (GAUSSIAN_CLUB, "add to synthesize.methods one that starts from ID", {"synthesize__methods": ["copies"]}),
        (
            DREAM,
            "params.yaml: synthesize.methods has dream, which wants the VAE of synthesize.dream.model",
            {"encoder__kind": "diffusers", "encoder__diffusers": VAE},
        ),
        (
            {"encoder__kind": "onnx"},
            "encoder: kind is 'onnx', but encoder.onnx is null; say where the model is",
            {"encoder__kind": "trained"},
        ),
        (
            UPPER_HALF | {"encoder__kind": "trained"},
            "channels and side null, and the same network; found encoder.kind 'trained'",
            {"encoder__kind": "supervised"},
        ),
        (UPPER_HALF | {"encoder__side": 2}, "encoder.side 2, whose latents it cannot read", {"encoder__side": None}),
        (UPPER_HALF | {"teacher__network__width": 8}, "encoder.supervised.network", {"teacher__start": "scratch"}),
        (
            {"train__energy_bound__id_energy": -3.0},
            "train.energy_bound: id_energy -3.0 is not below outlier_energy -3.0",
            {"train__energy_bound__outlier_energy": -2.9},
        ),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(tmp_path, wrong, message, right):
    assert message in problems_of(tmp_path, changed(default_params(), **wrong))
    load_all(write_params(tmp_path, changed(default_params(), **(wrong | right))))


def test_all_parts_that_do_not_fit_are_reported_at_once(tmp_path):
    wrong = GAUSSIAN_CLUB | {"synthesize__label_mixup__steps": 7}
    found = problems_of(tmp_path, changed(default_params(), **wrong))
    assert "label_mixup.steps is 7" in found
    assert "club.weight is 0.5" in found


@pytest.mark.parametrize(
    ("channels", "side", "wanted"),
    [(None, None, (64, 8, 8)), (16, None, (16, 8, 8)), (100, 9, (64, 8, 8)), (2, 1, (2, 1, 1))],
)
def test_a_reduced_latent_is_no_larger_than_its_map(channels, side, wanted):
    encoder = section(AllParams, changed(default_params(), encoder__channels=channels, encoder__side=side)).encoder
    assert encoder.reduced(64, 8) == wanted
