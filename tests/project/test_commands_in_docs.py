"""Every command in README and docs/ exists, with these options."""

import ast
import re
import shlex

import pytest
import typer

from pipeline.cli.main import app
from tests.helpers.documents import DOCUMENTS, console_blocks
from tests.helpers.make import ROOT

SYSTEM = "cat cd du export git grep head kill ls mkdir pip python ray rm source tail uv"
SHELL = SYSTEM.split(" ")
"""Programs that come with a system, or whose options are not ours."""


def commands(path):
    """Return every command of a document: lines after `$`, with continued lines joined and lists of them split."""
    found = []
    for block in console_blocks(path):
        joined = re.sub(r"\\\n\s*", " ", block)
        for line in re.findall(r"^\$ (.+)$", joined, re.MULTILINE):
            words = shlex.split(line, comments=True)
            while "&&" in words or "|" in words or ";" in words:
                cut = min(words.index(sign) for sign in ("&&", "|", ";") if sign in words)
                found.append(words[:cut])
                words = words[cut + 1 :]
            found.append(words)
    return [[word for word in words if word != "&"] for words in found if words]


def without_variables(words):
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words


EVERY = sorted({tuple(without_variables(words)) for path in DOCUMENTS for words in commands(path)} - {()})


def test_there_are_commands_in_the_documents():
    assert len(EVERY) > 40


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_a_command_exists_with_its_options(words):
    program, *arguments = words
    if program == "latent-outliers":
        group = typer.main.get_command(app)
        name, *rest = arguments
        assert name in group.commands
        if "--help" not in rest:
            group.commands[name].make_context(name, rest)
    elif program == "dvc":
        from dvc.cli.parser import get_main_parser

        get_main_parser().parse_args(arguments)
    elif program == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in arguments if "=" not in word} <= targets
    elif arguments[:1] == ["-m"]:
        assert_module_takes(*arguments[1:])
    else:
        assert program in SHELL or (ROOT / program).exists(), program


def assert_module_takes(module, *arguments):
    """Compare options with the names of a module's arguments, which typer and argparse make options of."""
    if module.split(".")[0] not in ("benchmarks", "stages", "pipeline"):
        return
    base = ROOT / module.replace(".", "/")
    files = [base.with_suffix(".py")] if base.with_suffix(".py").is_file() else sorted(base.glob("*.py"))
    assert files, module
    text = "".join(path.read_text() for path in files)
    names = {argument.arg for node in ast.walk(ast.parse(text)) if isinstance(node, ast.arguments) for argument in
             [*node.args, *node.kwonlyargs]}  # fmt: skip
    for option in (word for word in arguments if word.startswith("--") and word not in ("--help", "--params")):
        assert option in text or option.removeprefix("--").replace("-", "_").split("=")[0] in names, option
