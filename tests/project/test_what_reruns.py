"""One word is edited in the code of a project that has run: `dvc status` names the stages that it can change."""

import json

import pytest

from tests.helpers.project import call

pytestmark = pytest.mark.slow
METHODS = ("perturb", "mixup", "shuffle", "label_mixup")
SETS = ("id_train", "id_validation", "id_test", "held_out", "photographs", "noise")
ENCODE = {f"encode@{name}" for name in SETS}
READ_IMAGES = {*ENCODE, "encoder", "guard", "pretrained_teacher", "probe", "rival", "score", "views"}
EVERY_SCORE = {"infer", "bundle"}
EDITS = {
    # nothing: no byte can depend on it
    "pipeline/runtime/errors.py": ("not found", set()),
    "pipeline/runtime/progress.py": ("Show", set()),
    "pipeline/runtime/command.py": ("Parameter file", set()),
    "pipeline/runtime/run_log.py": ("Append", set()),
    # a method that is defined and not enabled, and its parameters
    "pipeline/outliers/methods/copies.py": ("Plain copies", set()),
    "pipeline/params/methods/dream.py": ("text-to-image", set()),
    # code of few stages
    "pipeline/outliers/methods/label_mixup.py": ("Label-mixup", {"synthesize@label_mixup"}),
    "pipeline/params/methods/label_mixup.py": ("diffusion", {"denoiser@label_mixup", "synthesize@label_mixup"}),
    "pipeline/losses/info_nce.py": ("InfoNCE", {"train"}),
    "pipeline/posthoc/scores/vim.py": ("residual", EVERY_SCORE),
    "pipeline/posthoc/scores/knn.py": ("neighbour", {*EVERY_SCORE, "rival"}),
    "pipeline/networks/plain_cnn.py": ("tutorials", {"rival"}),
    "pipeline/posthoc/metrics.py": ("Average precision", {"score"}),
    "pipeline/report/sentences.py": ("sentences", {"score"}),
    "pipeline/report/columns.py": ("comparison", {"score", "bundle"}),
    "pipeline/images/prefetch.py": ("decode", READ_IMAGES),
    "pipeline/params/guard.py": ("section", {"guard"}),
    "pipeline/training/denoiser.py": ("denoiser", {f"denoiser@{name}" for name in METHODS}),
}


def changed_stages(folder):
    """Return the stages whose dependencies have changed, as DVC sees them."""
    status = json.loads(call(folder, "dvc", "status", "--json"))
    return {
        stage
        for stage, changes in status.items()
        if any("changed deps" in change for change in changes if isinstance(change, dict))
    }


@pytest.mark.parametrize("path", EDITS)
def test_an_edited_word_reruns_what_it_can_change_and_nothing_else(made, path):
    folder, _ = made
    word, stages = EDITS[path]
    before = (folder / path).read_text()
    assert word in before
    (folder / path).write_text(before.replace(word, word[::-1], 1))
    try:
        assert changed_stages(folder) == stages
    finally:
        (folder / path).write_text(before)


NEW_SCORE = '''"""A new score."""

from torch import Tensor

from pipeline.posthoc.score import NetworkOutputs, PosthocScore


class Newest(PosthocScore):
    """Minus the sum of the logits."""

    title = "newest"
    source = "nobody"

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        return -outputs.logits.sum(1)
'''


@pytest.mark.parametrize(
    ("path", "content", "stages"),
    [
        ("pipeline/outliers/methods/newest.py", '"""A method that nobody enables."""\n', set()),
        ("pipeline/params/methods/newest.py", '"""Its parameters."""\n', set()),
        ("pipeline/losses/newest.py", '"""A loss that nobody uses."""\n', set()),
        ("pipeline/posthoc/scores/newest.py", NEW_SCORE, EVERY_SCORE),
    ],
)
def test_a_new_file_reruns_what_it_can_change_and_nothing_else(made, path, content, stages):
    folder, _ = made
    (folder / path).write_text(content)
    try:
        assert changed_stages(folder) == stages
    finally:
        (folder / path).unlink()


def test_a_new_score_is_in_the_results_and_earlier_ones_can_still_be_compared(made):
    folder, _ = made
    call(folder, "git", "add", "dvc.lock")
    call(folder, "git", "commit", "--quiet", "--message", "a run")
    path = folder / "pipeline/posthoc/scores/newest.py"
    path.write_text(NEW_SCORE)
    try:
        call(folder, "dvc", "repro", "score")
        assert "newest" in call(folder, "latent-outliers", "results", "--all-scores")
        printed = call(folder, "latent-outliers", "compare", "HEAD", "workspace", "--json")  # progress is behind it
        report, _ = json.JSONDecoder().raw_decode(printed)
        assert report["revisions"] == ["HEAD", "workspace"]
        refused = call(folder, "latent-outliers", "compare", "HEAD", "--score", "newest", code=1)
        assert "newest" in refused
        assert "HEAD" in refused
    finally:
        path.unlink()
        call(folder, "dvc", "repro", "score")
        call(folder, "git", "reset", "--quiet", "--soft", "HEAD~1")
