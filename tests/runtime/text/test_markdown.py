"""Names of the user are text in Markdown, as in a model card, whatever they look like."""

import html

import pytest
from markdown_it import MarkdownIt

from pipeline.runtime.text.user_text import markdown_text

NAMES = (
    "golden_retriever", "class 0", "_dog_", "**bold**", "`code`", "[a](http://evil)", "![](x)", "<script>",
    "a | b", "</b>", "~~gone~~", "&lt;", "https://evil.example", "# no heading", "$x^2$", "\\", "1. no list", "été",
    "[x]: y",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(name):
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(f"Classes: {markdown_text(name)}.")
    assert html.unescape(shown) == f"<p>Classes: {name}.</p>\n"


def test_a_name_stays_on_its_line_and_in_its_cell():
    assert "\n" not in markdown_text("a\n\n# b\r\x1b[31m")
    shown = MarkdownIt("commonmark").enable("table").render(f"| a | b |\n|---|---|\n| {markdown_text('x | y')} | z |\n")
    assert shown.count("<td>") == 2
