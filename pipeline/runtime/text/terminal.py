"""All that is printed goes through here, so that text of users is neither markup nor a control sequence.

What the encoding of a terminal or log file cannot express is escaped too. A structure test finds other ways to print.
"""

import sys
from typing import IO, Any, TextIO

from rich.console import Console as RichConsole
from rich.text import Text

from pipeline.runtime.text.user_text import printable

TABLE_WIDTH, LOG_WIDTH = 170, 100
"""Columns of a file or pipe, which has no width: of standard output, and of standard error."""
PLAIN = str.maketrans({"±": "+-", "\u2212": "-", "…": "...", "\xa0": " "})
"""The letters of our own sentences that ASCII lacks, for terminals that cannot show all of them."""


class Console(RichConsole):
    """A console that prints text as it is: no markup, emoji codes, colours of numbers or control sequences.

    A style is given beside a text, as in `print(text, style="red")` or `styled(text, "red")`.
    """

    def __init__(self, file: IO[str] | None = None, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(file=file, stderr=stderr, width=width, markup=False, emoji=False, highlight=False)
        if width is None and not self.is_terminal:
            self.width = LOG_WIDTH if stderr else TABLE_WIDTH

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with its style; rich calls this for every string that it prints, also within tables."""
        return super().render_str(visible(text, self.encoding), **options)

    def print_lines(self, text: str) -> None:
        """Print sentences of several lines."""
        for line in text.split("\n"):
            self.print(line)


def styled(text: str, style: str) -> Text:
    """Return text in a colour, for a cell of a table."""
    return Text(printable(text), style)


def say(*lines: str) -> None:
    """Print lines on standard output.

    `sys.stdout` is looked up each time, because rich replaces it while a progress bar is shown.
    """
    _write(sys.stdout, lines)


def warn(*lines: str) -> None:
    """Print lines on standard error."""
    _write(sys.stderr, lines)


def visible(text: str, encoding: str | None) -> str:
    """Return text as one line that can be printed in an encoding; letters that it lacks are escaped."""
    line = printable(text)
    try:
        line.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return line.translate(PLAIN).encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
    return line


def never_fail_to_print() -> None:
    """Let this process's output escape letters that its encoding lacks, also in what other libraries print."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _write(stream: TextIO, lines: tuple[str, ...]) -> None:
    stream.write("".join(f"{visible(line, stream.encoding)}\n" for line in lines))
