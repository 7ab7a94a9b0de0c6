"""In a real browser the page shows everything, on a desk and on a phone, by day and by night, and asks for nothing."""

from pathlib import Path

import pytest

from pipeline.report.page.page import write_page
from tests.helpers.browser import BROWSER, NO_BROWSER, opened_browser
from tests.report.page.make import stood_in, whole, with_names

pytestmark = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)

NOT_SHOWN = """() => [...document.querySelectorAll('[data-figure], img')]
    .filter(one => { const box = one.getBoundingClientRect(); return box.width < 40 || box.height < 40; })
    .map(one => one.dataset.figure || one.alt)"""
BROKEN = "() => [...document.images].filter(one => !one.complete || !one.naturalWidth).map(one => one.alt)"
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
    .filter(one => !one.parentElement.closest('.scroll, pre, svg') && !one.closest('thead'))
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
    .map(one => one.outerHTML.slice(0, 80))"""
WIDTHS = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
SCROLLED = """() => [...document.querySelectorAll('.scroll:not(details *)')]
    .filter(one => one.scrollWidth > one.clientWidth + 1).length"""
CONTRASTS = """() => {
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const parsed = colour => colour.match(/[0-9.]+/g).map(Number);
    const behind = one => {
        for (; one; one = one.parentElement) {
            const colour = parsed(getComputedStyle(one).backgroundColor);
            if (colour.length == 3 || colour[3] == 1) return colour;
        }
    };
    const own = one => [...one.childNodes].some(node => node.nodeType == 3 && node.data.trim());
    return [...document.querySelectorAll('body *')].filter(own).map(one => {
        const style = getComputedStyle(one), text = one.closest('svg') ? style.fill : style.color;
        const ends = [light(parsed(text)), light(behind(one))].sort((a, b) => b - a);
        return [(ends[0] + 0.05) / (ends[1] + 0.05), one.outerHTML.slice(0, 80)];
    });
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with opened_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, whole())
    return path.as_uri()


@pytest.fixture(params=[(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")], ids=str)
def shown(request, browser, address):
    """Return the page as shown, and what it said and asked for."""
    width, scheme = request.param
    page, noise, requests = browser.new_page(), [], []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda asked: requests.append(asked.url))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    yield page, noise, requests
    page.close()


def test_it_is_silent_and_asks_for_nothing_but_itself(shown, address):
    _, noise, requests = shown
    assert noise == []
    assert [url for url in requests if not url.startswith("data:")] == [address]


def test_every_figure_and_picture_is_seen(shown):
    page, _, _ = shown
    assert page.locator("[data-figure]").count() == 21
    assert (page.evaluate(NOT_SHOWN), page.evaluate(BROKEN)) == ([], [])


def test_nothing_is_wider_than_the_window(shown):
    page, _, _ = shown
    assert page.evaluate(TOO_WIDE) == []
    wanted, given = page.evaluate(WIDTHS)
    assert wanted <= given


LONG = "an_image_set_or_class_with_a_name_of_more_than_sixty_characters_"


@pytest.mark.parametrize("made", [lambda: with_names(LONG), stood_in], ids=["long", "stand-ins"])
@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_are_broken_rather_than_the_layout(width, made, browser, tmp_path):
    write_page(tmp_path / "long.html", made())
    page = browser.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto((tmp_path / "long.html").as_uri())
    assert page.evaluate(TOO_WIDE) == []
    page.close()


def test_no_table_has_to_be_scrolled_unless_it_was_folded(shown):
    page, _, _ = shown
    assert page.evaluate(SCROLLED) == 0


def test_text_can_be_read_on_its_ground(shown):
    """4.5 is what the Web Content Accessibility Guidelines 2.1 ask for (criterion 1.4.3)."""
    page, _, _ = shown
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 200
    assert [found for found in contrasts if found[0] < 4.5] == []


def test_the_slider_tells_what_the_row_of_its_threshold_does(shown):
    page, noise, _ = shown
    words = page.locator("#rejection-words")
    assert words.inner_text().startswith("Rejecting at most 5 of 100 known images")
    page.locator("#rejection").fill("0")
    assert words.inner_text() == page.locator("#rejections tbody tr").first.get_attribute("data-words")
    assert page.locator("#rejections tr.chosen").count() == 1
    rows = [row.is_visible() for row in page.locator("#rejections tbody tr").all()]
    on_a_phone = page.viewport_size["width"] < 704
    assert sum(rows) == (1 if on_a_phone else len(rows))
    assert noise == []


def test_the_colours_follow_the_mode(browser, address):
    page = browser.new_page()
    page.goto(address)
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    page.close()
    assert len(set(grounds)) == 2


def test_on_paper_every_table_is_open_and_no_figure_is_cut(browser, address):
    page = browser.new_page()
    page.goto(address)
    hidden = page.locator("#table details table").first
    assert not hidden.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert hidden.bounding_box()["height"] > 100
    cut = "() => [...document.querySelectorAll('figure')].map(one => getComputedStyle(one).breakInside)"
    assert set(page.evaluate(cut)) == {"avoid"}
    page.close()


def test_a_request_to_the_outside_would_be_refused_and_noticed(browser, address, tmp_path):
    leaky = tmp_path / "leaky.html"
    text = Path(address.removeprefix("file://")).read_text(encoding="utf-8")
    leaky.write_text(text.replace("</main>", '<img src="http://127.0.0.1:9/x.png" alt="x"></main>'), encoding="utf-8")
    page, noise = browser.new_page(), []
    page.on("console", lambda message: noise.append(message.text))
    page.goto(leaky.as_uri())
    page.close()
    assert any("Content Security Policy" in line for line in noise)
