"""Every task is a valid project, and no development task looks at what a final one is judged by."""

import pytest

from benchmarks.leaderboard.tables import DIGITS, DRAWN
from benchmarks.leaderboard.tasks import (
    DEVELOPMENT,
    EXPOSURE,
    FINAL,
    IMAGES,
    NOT_IN_OPENOOD,
    PRESETS,
    default_methods,
    parameters,
    tasks,
)
from pipeline.params.all_params import load_all
from tests.helpers.make import ROOT

TASKS = [
    task for benchmark in PRESETS for development in (False, True)
    for task in tasks(benchmark, development=development)
]  # fmt: skip


@pytest.fixture
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def loaded(task, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(parameters(task, 3, ["perturb", "copies"]), encoding="utf-8")
    return load_all(path)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.usefixtures("in_the_repository")
def test_the_parameters_of_a_task_are_valid(task, tmp_path):
    found = loaded(task, tmp_path)
    groups = {name: group for name, group in found.data.ood_sets().items() if name != EXPOSURE}
    assert found.seeds == (0, 1, 2)
    assert found.synthesize.methods == ("perturb", "copies")
    assert set(groups.values()) == {"near", "far"}
    assert EXPOSURE in found.data.sets
    assert {source.kind for source in found.data.sources.values()}.isdisjoint({"dataset", "dataset_images"})


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.usefixtures("in_the_repository")
def test_every_file_that_a_task_reads_is_linked_or_made(task, tmp_path):
    sources = loaded(task, tmp_path).data.sources.values()
    named = {getattr(source, name) for source in sources for name in ("file", "train", "test") if hasattr(source, name)}
    files = {name for name in named if str(name).startswith("data/")}
    made = {table.file.as_posix() for table in task.tables}
    assert files <= made | set(IMAGES[task.benchmark].files)
    assert made <= files
    read = {name for table in task.tables for name in (table.origin, table.only, table.left_out) if name}
    assert read <= {*IMAGES[task.benchmark].files, DIGITS, DRAWN}


@pytest.mark.parametrize("benchmark", ["digits", "fashion_mnist"])
def test_development_and_final_tasks_share_no_held_out_pair(benchmark):
    assert {frozenset(one) for one in FINAL[benchmark]}.isdisjoint(map(frozenset, DEVELOPMENT[benchmark]))


@pytest.mark.parametrize("benchmark", [name for name in PRESETS if FINAL[name] == ((),)])
@pytest.mark.usefixtures("in_the_repository")
def test_without_held_out_classes_development_and_final_tasks_share_no_ood_image(benchmark, tmp_path):
    development, final = (
        {
            source.model_dump_json()
            for name, source in loaded(task, tmp_path).data.sources.items()
            if name in loaded(task, tmp_path).data.ood_sets() and name != EXPOSURE
        }
        for which in (True, False)
        for task in tasks(benchmark, development=which)
    )
    assert len(final) == 4
    assert development.isdisjoint(final)
    only, left_out = IMAGES[benchmark].development_near[0].only, IMAGES[benchmark].near[0].left_out
    assert only == left_out == NOT_IN_OPENOOD


@pytest.mark.parametrize("benchmark", PRESETS)
@pytest.mark.usefixtures("in_the_repository")
def test_the_far_set_of_development_is_in_no_final_task(benchmark, tmp_path):
    development, final = (tasks(benchmark, development=which)[0] for which in (True, False))
    far = {name for name, group in loaded(development, tmp_path).data.ood_sets().items() if group == "far"}
    assert far - {EXPOSURE} == {"drawn"}
    assert "drawn" not in loaded(final, tmp_path).data.sets


@pytest.mark.usefixtures("in_the_repository")
def test_the_rest_of_a_task_is_its_preset(tmp_path):
    (first, *_) = tasks("digits", development=False)
    found, preset = loaded(first, tmp_path), load_all(ROOT / "presets/digits.yaml")
    assert (found.train, found.teacher, found.score) == (preset.train, preset.teacher, preset.score)
    assert default_methods("digits") == preset.synthesize.methods


def test_tasks_have_folders_of_their_own():
    assert len({task.folder for task in TASKS}) == len(TASKS)
