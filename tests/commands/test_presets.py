"""A preset says what differs, gives a whole parameter file, and using one loses nothing that is nowhere else."""

import functools
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from pipeline.commands.compose import BASE, IN_FULL, load_preset, preset_text
from pipeline.commands.encoder_choice import TRAININGS
from pipeline.commands.presets import available, use_preset
from pipeline.params.all_params import AllParams, load_all
from pipeline.params.networks import HeadParams
from pipeline.params.synthesize import METHODS
from pipeline.runtime.errors import OverwriteError, ParamsError
from pipeline.runtime.text.terminal import Console
from pipeline.schema.reader import parse_yaml, read_yaml, validate
from tests.helpers.make import ROOT, changed, default_params, write_params
from tests.helpers.project import call, commit, make_repository
from tests.stages.test_stages import ENVIRONMENT

PRESETS = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
OTHERS = [name for name in PRESETS if name != BASE]
PARAMS = Path("params.yaml")
HEADS = {
    "linear": {},
    "logit_norm": {"temperature": 0.04},
    "sphereface": {"margin": 1.35},
    "cosface": {"scale": 16.0, "margin": 0.2},
    "arcface": {"scale": 16.0, "margin": 0.2},
    "adacos": {},
}
LIKE_A_BACKBONE = "cifar10_layer3"
WANTS_A_MODEL = "synthesize: methods has dream, which wants a Stable Diffusion model in dream.model; found null"


@pytest.fixture(autouse=True)
def project(tmp_path):
    """A folder with the presets and the default parameters, without git."""
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copy(ROOT / "presets/digits.yaml", tmp_path / "params.yaml")


def use(name, *, force=False):
    printed = io.StringIO()
    used = use_preset(name, PARAMS, Console(file=printed, width=200), force=force)
    return used, printed.getvalue()


def file_of(name):
    return ROOT / f"presets/{name}.yaml"


@functools.cache
def values(name):
    """Return a whole preset as it is parsed."""
    return parse_yaml(name, preset_text(file_of(name)).encode())


def put(base, preset):
    """Return the base with the values of a preset in the place of its own."""
    both = isinstance(base, dict) and isinstance(preset, dict)
    return base | {key: put(base.get(key), value) for key, value in preset.items()} if both else preset


def repeats(base, preset, where=""):
    """Return the path of every value that a preset says though it is the base's; `data` is said in full."""
    if isinstance(base, dict) and isinstance(preset, dict):
        keys = [key for key in preset if f"{where}{key}" != IN_FULL]
        return [path for key in keys for path in repeats(base.get(key), preset[key], f"{where}{key}.")]
    return [where.rstrip(".")] if base == preset else []


def comments(text):
    """Return the comments behind values after section `data`."""
    return re.findall(r" (# .*)", text[text.index("\nencoder:") :])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_gives_valid_parameters(name):
    assert load_preset(file_of(name)) == validate("whole", AllParams, values(name))


@pytest.mark.parametrize("name", OTHERS)
def test_a_preset_says_what_differs_and_the_rest_is_the_base(name):
    base, said = read_yaml(file_of(BASE)), read_yaml(file_of(name))
    assert values(name) == put(base, said) | {IN_FULL: said[IN_FULL]}
    assert repeats(base, said) == [], "says what does not differ"


def test_what_a_preset_repeats_is_found():
    base = {"seeds": [0], "data": {"a": 1}, "train": {"start": "scratch", "mixing": {"weight": 1.0}}}
    said = {"seeds": [1], "data": {"a": 1}, "train": {"start": "teacher", "mixing": {"weight": 1.0}}}
    assert repeats(base, said) == ["train.mixing.weight"]


@pytest.mark.parametrize("name", OTHERS)
def test_comments_of_the_base_stay_beside_those_of_the_preset(name):
    whole, base, own = preset_text(file_of(name)), file_of(BASE).read_text(), file_of(name).read_text()
    assert {*comments(own)} <= {*comments(whole)} <= {*comments(own), *comments(base)}
    assert len(comments(whole)) >= len(comments(base))
    assert own[: own.index("\n\n")] + base[base.index("\n#\n") : base.index("\n\n")] == whole[: whole.index("\n\n")]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("head", HEADS)
def test_a_preset_goes_with_any_head_and_any_method_or_says_why_not(name, method, head):
    params = values(name)
    methods = list(dict.fromkeys([*params["synthesize"]["methods"], method]))
    params = changed(params, synthesize__methods=methods, train__head={"kind": head, **HEADS[head]})
    if method == "dream":
        with pytest.raises(ParamsError) as caught:
            validate("params.yaml", AllParams, params)
        assert caught.value.problems == [WANTS_A_MODEL]
        model, vae = (
            {"source": "sd", "revision": None},
            {"source": "sd", "subfolder": "vae", "revision": None, "variant": None},
        )
        params = changed(
            params,
            synthesize__dream__model=model,
            teacher__start="scratch",
            encoder__kind="diffusers",
            encoder__diffusers=vae,
        )
    checked = validate("params.yaml", AllParams, params)
    assert checked.train.head.kind == head
    assert method in checked.synthesize.enabled


def test_every_kind_of_head_is_among_them():
    union, _ = get_args(HeadParams)
    assert {get_args(one.model_fields["kind"].annotation)[0] for one in get_args(union)} == {*HEADS}


def test_the_default_parameters_are_preset_digits():
    assert (ROOT / "params.yaml").read_bytes() == file_of("digits").read_bytes()
    assert preset_text(file_of("digits")).encode() == file_of("digits").read_bytes()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_default_losses_outliers_and_score_or_those_of_a_backbone(name):
    preset, default = load_preset(file_of(name)), values(BASE)
    if name == LIKE_A_BACKBONE:
        default = put(default, TRAININGS["transformers"])
    default = validate("params.yaml", AllParams, default)
    sizes = {"start", "optimiser", "outlier_batch_size"}
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
    params = values(name)
    sources = [one for one in params["data"]["sources"].values() if one["kind"].startswith("dataset")]
    pinned = [*sources, *filter(None, [params["encoder"]["diffusers"]])]
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
    assert PARAMS.read_text() == preset_text(Path("presets/fashion_mnist.yaml"))
    assert "--- params.yaml\n+++ presets/fashion_mnist.yaml\n" in shown
    assert "-      kind: digits\n" in shown
    assert "+      held_out: [Bag, Ankle boot] # classes never trained on: the near-OOD set\n" in shown


def test_the_preset_that_is_there_already_changes_nothing():
    assert use("digits") == (False, "")


def test_a_whole_preset_gives_way_to_another_whatever_else_is_among_the_presets():
    Path("presets/broken.yaml").write_text("seeds: [\n")
    assert use("fashion_mnist")[0]
    assert use("cifar10")[0]
    assert PARAMS.read_text() == preset_text(Path("presets/cifar10.yaml"))


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


def test_an_unknown_key_of_a_preset_is_named_with_its_path():
    said = Path("presets/fashion_mnist.yaml").read_text().replace("    epochs: 12", "    epoch: 12")
    Path("presets/mine.yaml").write_text(said)
    with pytest.raises(ParamsError) as caught:
        use("mine")
    hint = "is not a parameter; did you mean 'epochs'?"
    assert str(caught.value) == f"presets/mine.yaml: teacher.optimiser.epoch {hint}; train.optimiser.epoch {hint}"


def test_a_wrong_value_of_a_preset_is_told_of_that_preset():
    said = Path("presets/fashion_mnist.yaml").read_text().replace("  epochs: 20", "  epochs: -20")
    Path("presets/mine.yaml").write_text(said)
    with pytest.raises(ParamsError, match="presets/mine.yaml: denoiser.epochs is -20"):
        use("mine")


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
