"""Teachers and detectors are trained per seed, repeat to the bit, and resume without repeating."""

import csv
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.latents.latents import load_id_train, load_latents
from pipeline.latents.view_rows import write_card as write_views_card
from pipeline.networks.outputs import TeacherOutputs, load_outputs
from pipeline.networks.pretrained_teacher import write_card
from pipeline.networks.resnet import LatentResNet
from pipeline.networks.saved_network import load_network, predict
from pipeline.networks.upper_half import save_upper_half
from pipeline.params.networks import LinearParams
from pipeline.params.teacher import TeacherParams
from pipeline.runtime.errors import ModelError, PipelineError, UnfinishedStoreError
from pipeline.runtime.files import folder_digest, read_json, write_bytes
from pipeline.training import detector, seeds
from pipeline.training.curve import loss_names
from stages.teacher import teacher
from stages.train import train
from tests.helpers.make import latents_store, outliers_store, tiny_params, write_params

ENCODER, ID, VIEWS, VALIDATION, OUTLIERS, TEACHERS = map(
    Path, ("encoder", "id", "views", "validation", "outliers", "teachers")
)
PRETRAINED, DETECTORS = map(Path, ("pretrained", "detectors"))
FEW = {"synthesize__methods": ["mixup", "shuffle"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One training for all tests of the module; each works beside it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LATENT_OUTLIERS_DEVICE", "cpu")
        latents_store(ID)
        latents_store(VALIDATION, seed=1)
        write_views_card(VIEWS, 0)
        for seed, method in enumerate(FEW["synthesize__methods"]):
            outliers_store(OUTLIERS / method, seed=seed)
        train_teachers()
        PRETRAINED.mkdir()
        write_card(PRETRAINED, None)
        train_detectors()
    return folder


@pytest.fixture
def trained(folder, monkeypatch):
    monkeypatch.chdir(folder)


def curves(output):
    return Path("curves") / output.name


def train_teachers(output=TEACHERS, workers=1, **changes):
    params = write_params(Path(), tiny_params(**(FEW | changes)))
    teacher(ENCODER, ID, VIEWS, VALIDATION, output, curves(output), params, workers)


def train_detectors(output=DETECTORS, workers=1, **changes):
    params = write_params(Path(), tiny_params(**(FEW | changes)))
    train(ID, VIEWS, VALIDATION, OUTLIERS, TEACHERS, PRETRAINED, output, curves(output), params, workers)


def test_the_stages_train_repeat_and_check(trained):
    latents = load_id_train(ID)
    for folder, role in ((TEACHERS, "teacher"), (DETECTORS, "detector")):
        cards = [load_network(folder / seed, latents.header.space, latents.class_names).card for seed in "01"]
        assert [(card.role, card.seed) for card in cards] == [(role, 0), (role, 1)]
    baseline = load_network(TEACHERS / "0", latents.header.space, latents.class_names)
    torch.testing.assert_close(tuple(load_outputs(TEACHERS / "0", 90, 3)), predict(baseline.network, latents.values))
    first = {folder: folder_digest(folder) for folder in (TEACHERS, DETECTORS)}
    train_teachers(workers=2)
    train_detectors(workers=2)
    assert {folder: folder_digest(folder) for folder in (TEACHERS, DETECTORS)} == first


def test_the_memory_budget_changes_no_byte(trained, monkeypatch):
    monkeypatch.setenv("LATENT_OUTLIERS_MEMORY", "0")
    train_teachers(Path("mapped-teachers"))
    train_detectors(Path("mapped-detectors"))
    assert folder_digest(Path("mapped-teachers")) == folder_digest(TEACHERS)
    assert folder_digest(Path("mapped-detectors")) == folder_digest(DETECTORS)


def test_seeds_differ(trained):
    weights = [load_file(DETECTORS / seed / "model.safetensors")["head.weight"] for seed in "01"]
    assert not torch.equal(*weights)


def test_finished_seeds_of_a_failed_run_are_kept(trained, monkeypatch):
    wanted, wanted_curves = folder_digest(DETECTORS), folder_digest(curves(DETECTORS))
    torch.set_num_threads(1)  # as in a unit's own process

    def only_the_first(function, units, **how):
        function(units[0])
        raise KeyboardInterrupt

    def only_the_second(function, units, **how):
        assert [unit.output.is_dir() for unit in units] == [True, False]
        function(units[1])

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(seeds, "run_units", only_the_first)
        train_detectors(Path("again"))
    shutil.rmtree(curves(Path("again")))  # as DVC does with every output of a stage that it runs
    monkeypatch.setattr(seeds, "run_units", only_the_second)
    train_detectors(Path("again"))
    assert folder_digest(Path("again")) == wanted
    assert folder_digest(curves(Path("again"))) == wanted_curves


def test_a_curve_shows_the_history_and_no_old_curve_stays(trained):
    write_bytes(curves(Path("few")) / "7.csv", b"of a seed that is no more")
    train_detectors(Path("few"), seeds=[1])
    assert [path.name for path in curves(Path("few")).iterdir()] == ["1.csv"]
    with Path("curves/few/1.csv").open() as stream:
        shown = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]
    history = read_json(Path("few/1/history.json"))
    assert [row.pop("epoch") for row in shown] == [1, 2]
    for row, epoch in zip(shown, history, strict=True):
        assert row.pop("loss") == pytest.approx(sum(epoch[name] for name in loss_names(epoch)))
        assert row == epoch


@pytest.mark.parametrize("networks", [TEACHERS, DETECTORS])
def test_the_history_ends_with_the_accuracy_of_the_network_on_id_validation(trained, networks):
    header = load_id_train(ID).header
    validation = load_latents(VALIDATION, header)
    for seed in tiny_params()["seeds"]:
        network = load_network(networks / str(seed), header.space, header.class_names).network
        hits = [
            int(network(row[None]).logits.argmax()) == label
            for row, label in zip(validation.values, validation.labels, strict=True)
        ]
        history = read_json(networks / str(seed) / "history.json")
        assert history[-1]["id_validation_accuracy"] == sum(hits) / len(hits)
        assert all(0 <= epoch["id_validation_accuracy"] <= 1 for epoch in history)


def test_the_bar_says_how_many_of_id_validation_are_named_rightly(trained, capsys):
    train_teachers(Path("shown"))
    ends = [read_json(Path(f"shown/{seed}/history.json"))[-1] for seed in tiny_params()["seeds"]]
    mean = sum(end["id_validation_accuracy"] for end in ends) / len(ends)
    assert f"ID validation {100 * mean:.1f} %" in " ".join(capsys.readouterr().err.split())


def test_the_accuracy_that_is_shown_changes_no_network(trained):
    def weights():
        return load_file(Path("other_validation/0/model.safetensors"))

    shutil.copytree(VALIDATION, "kept")
    train_teachers(Path("other_validation"), seeds=[0])
    before = weights()
    shutil.rmtree(VALIDATION)
    latents_store(VALIDATION, seed=2)
    train_teachers(Path("other_validation"), seeds=[0])
    shutil.rmtree(VALIDATION)
    Path("kept").rename(VALIDATION)
    assert all(torch.equal(value, before[name]) for name, value in weights().items())


def test_every_loss_and_another_head_train(trained):
    weights = ("energy_bound", "micl__paper", "distillation__features")
    wanted = {f"train__{name}__weight": 0.1 for name in weights} | {"train__head": {"kind": "adacos"}}
    train_detectors(Path("other"), seeds=[0], **wanted)
    latents = load_id_train(ID)
    found = load_network(Path("other/0"), latents.header.space, latents.class_names)
    assert found.card.head.kind == "adacos"
    history = read_json(Path("other/0/history.json"))
    assert {"energy_bound", "paper", "feature_distillation"} < set(history[-1])


def test_a_teacher_can_start_from_the_upper_half_of_the_encoder(trained):
    latents = load_id_train(ID)
    network = TeacherParams.model_validate(tiny_params()["teacher"], strict=False).network
    upper = LatentResNet(latents.header.space.shape[0], len(latents.class_names), network, LinearParams(kind="linear"))
    save_upper_half(ENCODER, upper)
    slow = {"teacher__optimiser__learning_rate": 1e-9, "teacher__optimiser__weight_decay": 0.0}
    train_teachers(Path("started"), seeds=[0], teacher__start="encoder", **slow)
    weights = load_file(Path("started/0/model.safetensors"))
    for name, value in upper.state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-6)


def test_a_detector_can_start_from_its_teacher(trained):
    slow = {"train__optimiser__learning_rate": 1e-9, "train__optimiser__weight_decay": 0.0, "train__start": "teacher"}
    train_detectors(Path("tuned"), seeds=[0], **slow)
    weights = [load_file(folder / "0" / "model.safetensors") for folder in (TEACHERS, Path("tuned"))]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=1e-6)


def test_a_detector_learns_from_a_pretrained_teacher_where_there_is_one(trained, monkeypatch):
    asked, distilled = [], {"seeds": [0], "train__distillation__logits__weight": 0.5}
    train_detectors(Path("own"), **distilled)

    def pretrained(folder, header):
        asked.append(folder)
        return TeacherOutputs(torch.zeros(90, 3), torch.zeros(90, 11))

    monkeypatch.setattr(detector, "load_pretrained_teacher", pretrained)
    monkeypatch.setattr(seeds, "run_units", lambda function, units, **how: function(units[0]))
    train_detectors(Path("taught"), **distilled)
    assert set(asked) == {PRETRAINED}
    assert folder_digest(Path("taught/0")) != folder_digest(Path("own/0"))


def test_what_is_missing_is_named(trained):
    with pytest.raises(UnfinishedStoreError, match=r"outliers/perturb/manifest.json: not found"):
        train_detectors(Path("x"), synthesize__methods=["perturb"])
    with pytest.raises(ModelError, match=r"teachers/7: no trained network could be read"):
        train_detectors(Path("x"), seeds=[7])
    with pytest.raises(PipelineError, match=r"nowhere/manifest.json: not found"):
        teacher(
            ENCODER, Path("nowhere"), VIEWS, VALIDATION, Path("x"), Path("y"), write_params(Path(), tiny_params()), 1
        )
    assert not Path("x").exists()
