"""What no stage can work with is found by `check`: every unfit parameter and class at once, before anything runs."""

from pathlib import Path

import pytest

from pipeline.commands.check import check
from pipeline.commands.needs import unfit
from pipeline.params.all_params import load_all
from pipeline.runtime.errors import ImageFileError, ParamsError
from tests.helpers.make import changed, default_params, write_params
from tests.images.odd import SETS, folder_data, plain_folder


def project(**changes):
    """Write parameters over the folders photos/ and others/, which have to be there when they are checked."""
    data = folder_data(sources__photos__held_out=[])
    data["sets"] = {name: chosen for name, chosen in SETS.items() if name != "held_out"}
    return write_params(Path(), changed(default_params() | {"data": data}, **changes))


def refused(path):
    with pytest.raises(ParamsError) as caught:
        check(path)
    return str(caught.value)


def test_every_unfit_parameter_and_class_is_named_at_once():
    plain_folder(Path("photos"), each=30)
    plain_folder(Path("photos"), classes=("few", "rare"), each=6)
    plain_folder(Path("others"), each=1)
    found = refused(project(infer__knn_neighbours=1000, synthesize__methods=["perturb", "mixup"]))
    for words in (
        "quality.neighbours is 10, which wants 11 images of every class, but class 'few' has 3, class",
        "synthesize.perturb.neighbours is 10, which wants 11 images",
        "lower it to 2 or less, or add images",
        "infer.knn_neighbours is 1000, but there are 51 images to train on; lower it",
    ):
        assert words in found


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"synthesize__methods": ["mixup"], "synthesize__mixup__classes": 3},
            "synthesize.mixup.classes is 3, but",
        ),
        ({"train__head": {"kind": "adacos"}}, "train.head.kind is 'adacos', which wants 3 classes or more; found 2"),
        ({"synthesize__perturb__neighbours": 20}, "synthesize.perturb.neighbours is 20, which wants 21 images"),
        ({"synthesize__perturb__neighbours": 20, "synthesize__methods": ["shuffle"]}, None),
        ({"quality__neighbours": 19, "infer__knn_neighbours": 40}, None),
        ({"teacher__optimiser__batch_size": 5000, "encoder__trained__batch_size": 5000}, None),
    ],
)
def test_a_parameter_is_unfit_only_where_a_stage_refuses_it(changes, problem):
    params = load_all(write_params(Path(), changed(default_params(), **changes)))
    found = unfit(params, {"cat": 20, "dog": 20})
    assert len(found) == (problem is not None)
    assert not found or problem in found[0]


@pytest.mark.parametrize("each", [1, 2])
def test_a_class_that_lacks_a_part_is_found(each):
    plain_folder(Path("photos"), each=each)
    plain_folder(Path("others"), each=1)
    with pytest.raises(ImageFileError, match="photos: found .* wanted at least one in every part"):
        check(project())


def test_many_classes_of_few_images_are_all_named():
    plain_folder(Path("photos"), classes=[f"class {number:03}" for number in range(200)], each=5)
    plain_folder(Path("others"), each=1)
    found = refused(project())
    assert found.count("'class 1") == 2 * 100


def test_images_that_are_elsewhere_are_named_and_not_looked_at():
    assert check(project())[1] == ["id_train", "id_validation", "id_test", "others"]


def test_the_default_parameters_are_good():
    params, elsewhere = check(write_params(Path(), default_params()))
    assert (len(params.seeds), elsewhere) == (5, [])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("photos/cat", "sources.others.path others (*) is inside sources.photos.path photos; keep them apart"),
        ("photos", "sources.photos.path is the same images as sources.others.path: photos"),
        (".", "sources.photos.path photos is inside sources.others.path others (*); keep them apart"),
        ("data/outliers", "sources.others.path is others (*), and stages write and delete in data/outliers; move it"),
    ],
)
def test_links_do_not_hide_that_images_are_in_two_sets(target, words):
    plain_folder(Path("photos"), each=30)
    Path(target).mkdir(parents=True, exist_ok=True)
    Path("others").symlink_to(Path(target).resolve(), target_is_directory=True)
    assert words.replace("*", str(Path(target).resolve())) in refused(project())
