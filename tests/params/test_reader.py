"""Parameters are read strictly, by the section or whole, and all that is wrong with a file is named at once."""

import re

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import YAMLFileCorruptedError
from dvc.utils.serialize import load_yaml as dvc_reads

from pipeline.params.all_params import load_all
from pipeline.params.train import TrainParams
from pipeline.runtime.errors import ParamsError
from pipeline.schema.reader import ParamsFile, read_yaml
from tests.helpers.make import ROOT, changed, default_params, write_params


def default_text(old, new):
    return (ROOT / "params.yaml").read_text().replace(old, new).encode()


def problems_of(tmp_path, content):
    with pytest.raises(ParamsError) as caught:
        load_all(write_params(tmp_path, content))
    return str(caught.value)


def test_a_missing_value_is_named_and_never_defaulted(tmp_path):
    content = default_params()
    del content["train"]["micl"]["info_nce"]["temperature"]
    assert "train.micl.info_nce.temperature is missing" in problems_of(tmp_path, content)


def test_all_problems_are_reported_at_once(tmp_path):
    content = changed(default_params(), train__optimiser__epochs=0, score__headline="x")
    assert "train.optimiser.epochs" in problems_of(tmp_path, content)
    assert "score.headline" in problems_of(tmp_path, content)


def test_a_stage_does_not_look_at_other_sections(tmp_path):
    path = write_params(tmp_path, changed(default_params(), score__headline="x"))
    assert ParamsFile(path).section("train", TrainParams).outlier_batch_size > 0


def test_a_stage_says_which_section_may_be_the_one_it_misses(tmp_path):
    content = default_params()
    content["trian"] = content.pop("train")
    file = ParamsFile(write_params(tmp_path, content))
    with pytest.raises(ParamsError, match=r"params.yaml: train is missing; is 'trian' meant\?$"):
        file.section("train", TrainParams)
    assert file.seeds == (0, 1, 2, 3, 4)


def test_a_section_that_is_like_no_other_is_missing_and_no_more_is_said(tmp_path):
    file = ParamsFile(write_params(tmp_path, {"seeds": [0]}))
    with pytest.raises(ParamsError, match="params.yaml: train is missing$"):
        file.section("train", TrainParams)


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [", "not readable as YAML"), ("- 1", "found list, wanted sections"), ("", "found NoneType")],
)
def test_a_file_that_is_no_parameter_file_is_refused(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(ParamsError, match=message):
        load_all(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ParamsError, match=r"nowhere.yaml: not found; run from the project's root"):
        load_all(tmp_path / "nowhere.yaml")


def test_numbers_in_scientific_notation_are_numbers(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text().replace("kl_weight: 0.0001", "kl_weight: 1e-4"))
    assert load_all(path).encoder.trained.kl_weight == 1e-4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seeds: &all [*all]\n", "found the alias *all, wanted the value itself"),
        (b"seeds: &one [1]\ndata: *one\n", "found the alias *one"),
        (b"seeds: " + b"[" * 5000, "not readable as YAML: maximum recursion depth exceeded"),
        (b"seeds: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        (b"\xff\xfe", "not readable as YAML"),
        (b"seeds: !!bool x\n", "a value is not of its kind ('x')"),
        (b"seeds: 2024-13-45\n", "a value is not of its kind (month must be in 1..12)"),
        (default_text("classes: 2", f"classes: 1{400 * '0'}"), "a number is too large"),
    ],
)
def test_yaml_that_means_harm_is_refused(tmp_path, content, message):
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(ParamsError, match=re.escape(message)):
        load_all(file)


def test_a_key_that_is_said_twice_is_refused_as_dvc_does(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("seeds: [0]\ntrain: {}\nseeds: [1]\n")
    with pytest.raises(ParamsError, match=r'found duplicate key "seeds" .*, in line 3$'):
        read_yaml(path)
    with pytest.raises(YAMLFileCorruptedError):
        dvc_reads(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("0o10", 8),
        ("no", "no"),
        ("12:30", "12:30"),
        ("1e-4", 1e-4),
        ("1_000", 1000),
        ("y", "y"),
        ("~", None),
    ],
)
def test_a_value_is_what_it_is_for_dvc(tmp_path, text, value):
    path = tmp_path / "params.yaml"
    path.write_text(f"seed: {text}\n")
    assert read_yaml(path) == dvc_reads(path) == {"seed": value}


AWKWARD = (
    "no", "Yes", "on", "y", "null", "~", "", "010", "0o10", "0x1f", "1_000", "12:30", "1e3", ".5", "+1", ".inf", ".nan",
    "2024-01-01", "=", "<<", "*x", "&x", "!x", "%x", "@x", "`x`", "- x", "? x", "x: y", "x #y", "[x]", "{x}", ",", "|",
    "it's", 'say "x"', " x ", "a\nb", "a\tb", "\u00e9", "e\u0301", "\u65e5\u672c", "\U0001f989", "\u2028",
    "\ufeffx", "$x", "a\\nb", "x" * 300, "word " * 60, "---", "...", "!!str x", "\x1b[31m", "a\r\nb",
)  # fmt: skip


@pytest.mark.parametrize("name", AWKWARD)
def test_an_experiment_of_dvc_changes_no_name(tmp_path, name):
    """`dvc exp run --set-param` writes the whole file anew, without the quotes that it does not need."""
    path = write_params(tmp_path, {"data": {"held_out": [name, "x"], "prompts": {name: name}}, "seed": 1})
    before = read_yaml(path)
    assert before["data"] == {"held_out": [name, "x"], "prompts": {name: name}}
    for seed in (2, 3):
        apply_overrides(path, [f"seed={seed}"])
        assert read_yaml(path) == dvc_reads(path) == before | {"seed": seed}
