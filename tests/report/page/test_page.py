"""The page holds every part, escapes what users name, asks for nothing outside and is the same bytes again."""

import base64
import copy
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pipeline.report.classes import confusion
from pipeline.report.grid import PictureRow
from pipeline.report.page.content import RunRecord
from pipeline.report.page.page import cards, data_uri, quality_value, render, write_page
from pipeline.report.page.stage_graph import Graph
from pipeline.report.sentences import STAND_INS_SENTENCE
from tests.helpers.make import ROOT, changed
from tests.report.page.make import GRAPH, GROUPS, QUALITY, content, pictures, stood_in, whole, with_names

EVIL = '<b>&"'


class Elements(HTMLParser):
    """The elements of a page, in order, with their attributes; an end without its start is refused."""

    VOID = ("meta", "link", "img", "wbr", "br", "path", "use", "rect", "input")

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.found if name in attributes]


@pytest.fixture(scope="module")
def page():
    return render(whole())


def test_every_element_that_begins_ends(page):
    assert Elements(page).found


def test_every_figure_is_there(page):
    sets = [name for members in GROUPS.values() for name in members]
    wanted = {f"{kind}-{index}" for kind in ("roc", "histogram") for index in range(len(sets))}
    wanted |= {f"forest-{index}" for index in range(4)} | {f"training-{index}" for index in range(4)}
    wanted |= {f"hardest-{index}" for index in range(1 + len(sets))} | {"outliers-0", "stages", "rejection"}
    assert sorted(Elements(page).attributes("data-figure")) == sorted(wanted)


def test_ids_are_unique_and_every_link_leads_to_one(page):
    elements = Elements(page)
    ids = elements.attributes("id")
    assert len(ids) == len(set(ids))
    assert {f"#{name}" for name in ids} >= {link for link in elements.attributes("href") if link.startswith("#")}


def test_nothing_outside_is_referred_to(page):
    spelled = re.sub(r"base64,[^\"]+", "", page)
    assert re.findall(r"https?:|//|@import|<script .|<iframe|<object|\son\w+=|fetch|XMLHttp|import\(", spelled) == []
    links = [*Elements(page).attributes("src"), *Elements(page).attributes("href")]
    assert {re.match("#|data:", link) is not None for link in links} == {True}


def test_the_only_script_is_the_one_that_the_policy_names(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in page or f"script-src 'sha256-{digest}'" in page


def test_the_confusion_is_shown_for_few_classes_and_its_diagonal_is_what_is_right(page):
    rows = re.findall(r'<td class="right"[^>]*>(\d+)</td>', page)
    wanted = [100 * share for share in np.diag(confusion(whole().table))]
    assert rows == [f"{share:.0f}" for share in wanted if share >= 0.5]


def test_a_detector_at_chance_is_said_to_guess():
    metrics = copy.deepcopy(whole().metrics)
    assert "close to guessing" not in render(content(metrics=metrics))
    metrics["groups"]["near"][metrics["score"]]["detector"]["auroc"]["mean"] = 0.58
    assert render(content(metrics=metrics)).count("close to guessing, 50") == 1


def test_a_rival_stands_below_the_verdict_in_the_tiles_and_in_a_table(page):
    rival = whole().metrics["rival"]
    assert page.count(f'<p class="verdict">{" ".join(rival["sentences"])}</p>') == 1
    near = rival["groups"]["near"]
    assert f"rival {100 * near['rival']['auroc']['mean']:.1f}: " in page
    assert '<th scope="col">AUROC rival</th>' in page
    metrics = {name: value for name, value in whole().metrics.items() if name != "rival"}
    assert "rival" not in render(content(metrics=metrics)).replace("arrival", "")


def test_every_picture_has_words(page):
    images = [attributes for tag, attributes in Elements(page).found if tag == "img"]
    assert len(images) == 4 * 4 + 2 * 3
    assert all(image["alt"] for image in images)


def test_the_same_content_is_the_same_bytes(page):
    assert render(whole()) == page


def test_it_is_written_whole(tmp_path, page):
    write_page(tmp_path / "reports" / "report.html", whole())
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["report.html"]
    assert (tmp_path / "reports" / "report.html").read_text(encoding="utf-8") == page


def test_names_are_text_and_never_markup():
    found = render(with_names(EVIL))
    assert EVIL not in found
    plain = render(with_names("harmless"))
    assert found.count("&lt;b&gt;&amp;&#34;") + found.count("&lt;b&gt;&amp;&quot;") == plain.count("harmless")
    assert [tag for tag, _ in Elements(found).found] == [tag for tag, _ in Elements(plain).found]


def test_a_name_with_dollars_is_not_taken_for_a_formula():
    assert "$x^2$" in render(with_names("$x^2$"))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"quality": None}, "Stage quality has not looked at these outliers."),
        ({"histories": {"teacher": {}, "detector": {}}}, "The networks brought no history of their training."),
        ({"histories": {}}, "The networks brought no history of their training."),
        ({"hardest": {}}, "No pictures were made."),
        ({"outliers": {}}, "No pictures were made."),
        ({"run_record": RunRecord(None, "", "a machine")}, "There is no dvc.yaml where this page was written"),
    ],
)
def test_what_is_missing_is_said(missing, said, page):
    assert said not in page
    assert said in render(content(**missing))


def test_a_run_without_ood_images_is_a_page_that_says_so():
    metrics = changed(whole().metrics, sets={}, groups={}, threshold__ood_detected={})
    found = render(content(metrics=metrics, hardest={}))
    assert "No image set of outliers was scored" in found
    assert found.count("No OOD images were scored") == 3
    assert "Name some under <code>data.sets</code>" in found
    assert Elements(found).found


def test_stand_ins_are_shown_like_any_set_under_a_caution(page):
    found = render(stood_in())
    assert found.count(STAND_INS_SENTENCE) == 4
    assert "<li>Mind this.</li>" in found
    assert "Stand-in outliers, AUROC" in found
    assert found.count("<figcaption>stand_in/mixup_spherical (new kind)</figcaption>") == 3
    assert '<th scope="row">stand_in/mixup (trained kind)</th>' in found
    assert "<h3>stand_in/mixup: most like ID images</h3>" in found
    assert STAND_INS_SENTENCE not in page


def test_what_became_of_every_file_stands_among_the_guards(page):
    files = {
        "found": 3,
        "sets": {"close": 1},
        "beyond_limits": 0,
        "in_no_set": 0,
        "skipped": {"empty": 2},
        "repeated": 0,
    }
    found = render(content(guard=whole().guard | {"files": {"photos": files}}))
    assert "Folder of photos: 3 files = 1 in close + 2 skipped (2 empty)." in found
    assert "Folder of" not in page


def test_a_single_seed_has_no_spread():
    single = {"mean": 0.5, "std": None}
    metrics = changed(whole().metrics, id_accuracy={"baseline": single, "detector": single}, seeds=[0])
    assert "a single seed decides nothing; ID accuracy stays at 50.0" in render(content(metrics=metrics))


def test_warnings_stand_before_everything_else(page):
    found = render(content(metrics=changed(whole().metrics, warnings=["Mind this."])))
    assert found.index("Mind this.") < found.index('id="numbers"')
    assert "Nothing gave cause for a warning." in page
    assert "Nothing gave cause for a warning." not in found


def test_a_picture_is_held_by_the_page_pixel_by_pixel():
    image = pictures(1)[0]
    kind, _, content = data_uri(image).partition(",")
    assert kind == "data:image/png;base64"
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    np.testing.assert_allclose(found / 255, image, atol=0.5 / 255 + 1e-6)


def test_large_pictures_are_reduced():
    content = data_uri(np.zeros((512, 512, 3), np.float32)).partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (160, 160)


def test_an_outlier_stands_under_its_own_parents():
    images = pictures(4)
    found = cards((PictureRow("parent", images[:2], ["first", "second"]), PictureRow("outlier", images[2:], [])))
    assert [card["title"] for card in found] == ["first", "second"]
    assert [name for name, _ in found[1]["pictures"]] == ["parent", "outlier"]
    np.testing.assert_array_equal(found[1]["pictures"][1][1], images[3])


def test_a_parent_that_an_outlier_lacks_is_not_shown():
    images = pictures(4)
    lacking = PictureRow("parent", images[:2], ["first", "second"], frozenset({1}))
    found = cards((lacking, PictureRow("outlier", images[2:], [])))
    assert [[name for name, _ in card["pictures"]] for card in found] == [["parent", "outlier"], ["outlier"]]


@pytest.mark.parametrize(
    ("key", "said"),
    [("entropy", "50.0 ± 10.0\xa0%"), ("beyond_all", "25.0\xa0%"), ("nearest_id", "1.50"), ("own_class_distance", "-")],
)
def test_shares_are_percent_and_distances_are_not(key, said):
    assert quality_value(QUALITY, key) == said


def test_style_and_template_are_part_of_the_package():
    folder = ROOT / "pipeline/report/page"
    settings = (ROOT / "pyproject.toml").read_text()
    others = {f"*{path.suffix}" for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
    assert others == {"*.css", "*.j2", "*.js"}
    assert '"pipeline.report.page" = ["*.css", "*.j2", "*.js"]' in settings


def test_versions_are_told_with_the_stages_that_ran_with_them():
    assert "numpy 2.4.6, torch 2.13.0; Linux: encode and train." in render(whole())
    all_ran = Graph(GRAPH.stages[:2], GRAPH.edges)
    assert "Linux: all stages." in render(content(run_record=RunRecord(all_ran, "", "a machine")))
