"""A preset is put into the text of the base line by line: what it does not say stays as it is written there."""

from pathlib import Path

import pytest

from pipeline.commands.compose import preset_text
from pipeline.runtime.errors import ParamsError
from pipeline.schema.reader import parse_yaml

BASE = """\
# The base.
# More of it.
#
# Of every file.

seeds: [0, 1]                 # how many

data:                         # images
  side: 4
  sources:
    old: {kind: folder}       # gone

net:
  width: 32                   # of each
                              # layer
  blocks: [2, 2]
  head: {kind: linear}        # or {kind: other, scale}
  inner:                      # further in
    rate: 0.1                 # its peak
    model: null               # or a folder

end:
  words:                      # of the title
    - "# one"
  title: Base
"""
DATA = "data:\n  side: 8\n"


def whole(preset):
    """Return what a preset gives, without its own header."""
    Path("digits.yaml").write_text(BASE)
    Path("mine.yaml").write_text(preset)
    return preset_text(Path("mine.yaml"))


def section(name, text):
    """Return the lines of a section."""
    return text[text.index(f"\n{name}:") + 1 :].split("\n\n")[0].rstrip("\n") + "\n"


def test_the_base_gives_itself():
    assert whole(DATA)
    assert preset_text(Path("digits.yaml")) == BASE


def test_what_a_preset_does_not_say_is_the_base_byte_for_byte():
    base = BASE.replace("# The base.\n# More of it.\n", "# Mine.\n")
    data = "data:                         # images\n  side: 8\n"
    assert whole(f"# Mine.\n\n{DATA}") == base.replace(section("data", base), data)


def test_the_comment_of_a_preset_stands_before_what_the_base_says_of_every_file():
    text = whole("# Mine.\n#\n# Much more.\n\n" + DATA)
    assert text.startswith("# Mine.\n#\n# Much more.\n#\n# Of every file.\n\nseeds:")


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ("seeds: [7]", "seeds: [7]                    # how many"),
        ("seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8]", "seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8] # how many"),
        ("seeds: [7] # one", "seeds: [7] # one"),
        ("seeds: [0,\n  1] # two", "seeds: [0,\n  1] # two"),
        ("seeds: [0,\n  1]", "seeds: [0,\n  1]                          # how many"),
        ("# over it\nseeds: [7]", "# over it\nseeds: [7]                    # how many"),
    ],
)
def test_a_value_takes_the_place_of_the_other_and_keeps_its_comment_unless_it_has_one(said, lines):
    assert f"# Of every file.\n\n{lines}\n\ndata:" in whole(f"# Mine.\n\n{said}\n\n{DATA}")


@pytest.mark.parametrize(
    ("said", "old", "new"),
    [
        ("  width: 64", "  width: 32 ", "  width: 64 "),
        (
            "  width: 64                   # mine\n                              # alone",
            "  width: 32                   # of each\n                              # layer",
            "  width: 64                   # mine\n                              # alone",
        ),
        (
            "  width: 64   # mine",
            "  width: 32                   # of each\n" + " " * 30 + "# layer",
            "  width: 64   # mine",
        ),
        ("  blocks: [1]", "  blocks: [2, 2]", "  blocks: [1]"),
        ("  head: {kind: other, scale: 1}", "  head: {kind: linear}        #", "  head: {kind: other, scale: 1} #"),
        ("  inner:\n    rate: 0.2", "    rate: 0.1 ", "    rate: 0.2 "),
        (
            "  inner: # mine\n    rate: 0.2 # too",
            "  inner:                      # further in\n    rate: 0.1                 # its peak",
            "  inner: # mine\n    rate: 0.2 # too",
        ),
        (
            "  inner:\n    model:\n      source: here # of all",
            "    model: null               # or a folder",
            "    model:                    # or a folder\n      source: here # of all",
        ),
    ],
)
def test_only_the_lines_of_what_differs_change_in_a_section(said, old, new):
    found = section("net", whole(f"# Mine.\n\n{DATA}\nnet:\n{said}\n\n"))
    assert old in BASE
    assert found == section("net", BASE).replace(old, new)


def test_a_list_on_lines_of_its_own_and_a_sign_in_a_string_are_values():
    text = whole(f'# Mine.\n\n{DATA}\nend:\n  words:\n    - two # of them\n  title: "a # b"\n')
    words = "  words:                      # of the title\n    - two # of them\n"
    assert section("end", text) == f'end:\n{words}  title: "a # b"\n'
    assert parse_yaml("text", text.encode())["end"] == {"words": ["two"], "title": "a # b"}


def test_what_stands_in_braces_in_the_base_is_one_value():
    text = whole(f"# Mine.\n\n{DATA}\nnet:\n  head: {{scale: 2}}\n")
    assert parse_yaml("text", text.encode())["net"]["head"] == {"scale": 2}


def test_nothing_of_the_base_is_left_in_data():
    text = whole(
        "# Mine.\n\ndata:\n  # a note\n  sources:\n    new:\n      kind: folder # yes\n    # other: {}\n\nseeds: [7]\n"
    )
    assert section("data", text) == (
        "data:                         # images\n"
        "  # a note\n  sources:\n    new:\n      kind: folder # yes\n    # other: {}\n"
    )


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("nett:\n  width: 1\n", "nett is not a parameter; did you mean 'net'?"),
        ("net:\n  inner:\n    rat: 1\n", "net.inner.rat is not a parameter; did you mean 'rate'?"),
        ("net:\n    width: 1\n", "net.width has 4 spaces before it, wanted 2 as in digits"),
        ("net:\n  inner: {rate: 1}\n", "net.inner is in braces, wanted a line for each key as in digits"),
    ],
)
def test_what_does_not_fit_the_base_is_named_with_its_path(said, problem):
    with pytest.raises(ParamsError) as caught:
        whole(f"# Mine.\n\n{DATA}\n{said}")
    assert str(caught.value) == f"mine.yaml: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seeds: [1]\n", "data is missing; a preset says it in full"),
        ("{data: {side: 1}}\n", "its sections are in braces, wanted each on lines of its own"),
        ("# Nothing.\n", "found NoneType, wanted sections such as seeds, data and train"),
        ("seeds: [\n", "not readable as YAML"),
    ],
)
def test_a_file_that_is_no_preset_is_an_error(text, problem):
    with pytest.raises(ParamsError, match=f"mine.yaml: {problem}"):
        whole(text)


def test_without_a_base_beside_it_a_preset_is_an_error():
    Path("mine.yaml").write_text(DATA)
    with pytest.raises(ParamsError, match="digits.yaml: not found"):
        preset_text(Path("mine.yaml"))
