"""The text of a search, in the form that PostgreSQL's full text search reads.

A search has words, "phrases", `-` before what must not occur, and `or`. `websearch_to_tsquery` reads these, but it
cannot find the beginnings of words. So the search is turned into the form of `to_tsquery`.

Each word also finds the words that begin with it. It need not be the last word, because the order of words has no
meaning in a search. Three kinds of terms are exact:

- an excluded word, because an excluded beginning would hide tasks for words that nobody named;
- a phrase, so a word in quotation marks is the way to search for this word alone;
- a single letter, because nearly every task has a word that begins with it.
"""

import re
from collections.abc import Iterator

MIN_PREFIX_LENGTH = 2

# Hyphens, and after them a phrase or a word. A phrase that is not closed ends with the text.
_TERM = re.compile(r'(?P<hyphens>-*)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
_HAS_WORD = re.compile(r"\w")


def as_tsquery(text: str) -> str:
    """The text for `to_tsquery`. Text without a word becomes the empty query, which finds nothing."""
    alternatives: list[list[str]] = [[]]
    is_after_or = False
    for operand in _operands(text):
        if operand is None:
            is_after_or = bool(alternatives[-1])
            continue
        if is_after_or:
            alternatives.append([])
        alternatives[-1].append(operand)
        is_after_or = False
    return " | ".join(" & ".join(operands) for operands in alternatives if operands)


def _operands(text: str) -> Iterator[str | None]:
    """Each word and phrase in the form of `to_tsquery`; None for an `or`."""
    for term in _TERM.finditer(text):
        phrase, word = term["phrase"], term["word"]
        if not term["hyphens"] and word is not None and word.lower() == "or":
            yield None
        elif _HAS_WORD.search(phrase or word or ""):
            is_exact = bool(term["hyphens"]) or phrase is not None or len(word) < MIN_PREFIX_LENGTH
            yield ("!" if term["hyphens"] else "") + _quoted(phrase or word) + ("" if is_exact else ":*")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
