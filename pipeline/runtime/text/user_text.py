"""Write text of users (names of classes, files, sets) where it would be read as something else than text.

Users name their classes and files as they like, and some get them from strangers. So each border has its function here
or in the module that it names: terminals (`terminal.py`), figures (`figure.py`), errors
(`runtime/errors.py`), CSV and Markdown. The HTML page escapes in its templates, and JSON and Parquet need nothing.
"""

import re
import unicodedata

JOINERS = "\u200c\u200d"
"""Invisible letters without effect on other text, which words in Persian and Hindi need."""
FORMULA = re.compile(r"[=@\uff1d\uff20]|[+\-\uff0b\uff0d](?![\d.]*$)")
"""The beginning of a text that spreadsheets compute; a lone sign and a number with a sign are none.

Source: OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection, which names the wide forms too.
"""
MARKDOWN = re.compile(r"[\\`*_{}\[\]()<>#+!|~$&:@^=]|^-")
"""Punctuation that Markdown or one of its extensions on the Hugging Face hub gives a meaning."""


def printable(text: str) -> str:
    """Return text as one line of visible characters, with all others escaped as in Python.

    Escaped are newlines, control sequences of terminals, marks that turn the direction of writing, and bytes of file
    names that are no UTF-8. Text without any of these is returned as it is.
    """
    return "".join(letter if _is_visible(letter) else _escaped(letter) for letter in text)


def csv_text(text: str) -> str:
    """Return the text of a cell in CSV: one line, with an apostrophe before what spreadsheets take for a formula."""
    line = printable(text)
    return f"'{line}" if FORMULA.match(line) else line


def markdown_text(text: str) -> str:
    """Return text as one line that Markdown shows as it is, for use within a line or a cell of a table."""
    return MARKDOWN.sub(r"\\\g<0>", printable(text))


def _is_visible(letter: str) -> bool:
    """Return whether a letter shows as itself; Python counts no other space than that of ASCII as printable."""
    return letter.isprintable() or letter in JOINERS or unicodedata.category(letter) == "Zs"


def _escaped(letter: str) -> str:
    """Return the escape of a letter; a byte that is no UTF-8, which Python reads as a letter, is escaped as a byte."""
    byte = ord(letter) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(letter)[1:-1]
