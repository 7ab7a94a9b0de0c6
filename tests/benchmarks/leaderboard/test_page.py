"""The page shows every method, the best first, and says of each what ours is beside it."""

import re
from pathlib import Path

from PIL import Image

from benchmarks.leaderboard.default import Default
from benchmarks.leaderboard.lines import Line, best_cells, best_heading, cells, compared, controls, heading, short_cells
from benchmarks.leaderboard.methods import with_weights
from benchmarks.leaderboard.page import PICTURE, page
from benchmarks.leaderboard.picture import draw, points
from pipeline.commands.compose import load_preset
from tests.benchmarks.leaderboard.make import by_rows, method, report
from tests.helpers.make import ROOT

DEFAULT = Default("knn", {"mixing": 1.0, "info_nce": 0.1}, {"mixup": 2048, "perturb": 2048})
TODAY = {
    "digits": DEFAULT,
    "fashion_mnist": DEFAULT._replace(outliers={"perturb": 512}),
    "cifar10_layer3": DEFAULT._replace(losses={"mixing": 1.0}),
}


def test_methods_stand_in_the_order_of_their_auroc_and_cross_entropy_with_every_score():
    found = compared(report())
    assert [line.method for line in found] == ["vos", "ours", *["cross_entropy"] * 3]
    assert {line.score for line in found if line.method == "cross_entropy"} == {"msp", "knn", "vim"}


def test_null_controls_stand_beside_ours():
    assert controls(report()) == [Line("ours", "knn"), Line("only_copies", "knn")]


def test_a_line_has_a_cell_for_every_column():
    for line in compared(report()):
        assert len(cells(report(), line)) == len(heading(report()))
    assert len(best_cells(report(), "vos")) == len(best_heading(report()))


def test_a_line_says_what_ours_is():
    (line, *_) = compared(report())
    assert cells(report(), line)[:5] == ["VOS", "msp", "97.0 ± 1.0", "95.0", "95.0 ± 1.0"]
    assert cells(report(), line)[-1] == "-5.0 (-15.0 to +5.0) better"


def test_the_page_has_every_method_and_one_table_each():
    text = page([report()], [], TODAY)
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 4
    assert all(f"| {one['title']} |" in text for one in report()["methods"].values())
    assert "Commit 0123456, a processor, 20 minutes. 3 seeds, 80 epochs, 2,000 replicates." in text
    assert "8 and 9; 2 and 5" in text
    assert "jpeg 51.0 ± 1.0" in text


def test_a_default_that_has_changed_since_is_said_to_have():
    assert "the default of then" not in page([report()], [], TODAY)
    then = (
        "Ours: score knn, losses info_nce 0.1 and mixing 1, outliers 2,048 by mixup and 2,048 by perturb. That was the "
    )
    for benchmark, today in (
        ("fashion_mnist", "losses info_nce 0.1 and mixing 1, outliers 512 by perturb"),
        ("cifar10_layer3", "losses mixing 1, outliers 2,048 by mixup and 2,048 by perturb"),
    ):
        text = page([report() | {"benchmark": benchmark}], [], TODAY)
        assert f"{then}default of then; today's is score knn, {today}." in text


def test_a_report_that_does_not_say_its_losses_is_of_another_default():
    early = {name: value for name, value in report().items() if name != "losses"}
    assert "Ours: score knn, outliers 2,048 by mixup and 2,048 by perturb. That was the" in page([early], [], TODAY)


def test_the_default_of_today_is_that_of_the_preset(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = Default.of_today("cifar10_layer2")
    params = load_preset(Path("presets/cifar10_layer2.yaml"))
    assert (found.score, tuple(found.outliers)) == (params.score.headline, params.synthesize.methods)
    assert with_weights(params.train, found.losses) == params.train
    assert all(found.losses.values())


def test_in_short_ours_is_beside_cross_entropy_at_its_best_and_beside_others_by_their_papers():
    other = report(npos=method("NPOS", "published", 0.7, score="knn")) | {"benchmark": "fashion_mnist"}
    lines = {line[0]: line[1:] for line in short_cells([report(), other])}
    near = lines["cross-entropy by its best score, near AUROC"]
    assert near == ["+10.0 (-0.0 to +20.0) better (vim)"] * 2
    assert lines["cross-entropy, ID accuracy"] == ["+0.0 (-10.0 to +10.0) undecided"] * 2
    assert lines["VOS, mean AUROC"] == ["-5.0"] * 2
    assert lines["NPOS, mean AUROC"] == ["", "+20.0"]
    text = page([report(), other], [], TODAY)
    assert text.index("| ours less | Digits | Fashion-MNIST |") < text.index("## Digits")


def test_near_stands_before_far_however_a_report_was_written():
    found = report() | {"groups": {"far": ["noise"], "near": ["held_out"]}}
    assert [name for name in heading(found) if name in ("near AUROC", "far AUROC")] == ["near AUROC", "far AUROC"]


def test_the_upper_reference_of_cifar_is_said_to_be_of_the_near_set():
    assert "1,000 images of CIFAR-100" in page([report() | {"benchmark": "cifar10_layer3"}], [], TODAY)
    assert "1,000 images of CIFAR-100" not in page([report()], [], TODAY)


def test_the_default_is_a_point_of_the_curve_and_its_own_number_is_not_shown_twice():
    assert [(rows, value["mean"]) for rows, value in points(by_rows(), "near")] == [
        (32, 0.0032),
        (512, 0.0512),
        (2048, 0.9),
    ]


def test_numbers_of_outliers_stand_in_their_order_between_none_and_our_own():
    text = page([report()], [by_rows()], TODAY)
    section = text[text.index("## How many outliers it takes") :]
    assert PICTURE in section
    titles = re.findall(r"^\| (cross-entropy|[\d,]+|our default) \|", section, re.MULTILINE)
    assert titles == ["cross-entropy", "32", "512", "2,048", "our default"]
    assert "How many" not in page([report()], [], TODAY)


def test_the_picture_has_a_panel_for_each_benchmark():
    draw([by_rows(), by_rows()], Path("figure.png"))
    with Image.open("figure.png") as picture:
        assert picture.size == (2 * 440, 352)
