"""Skeletons of usernames: names that look alike have the same skeleton (Unicode UTS #39, section 4)."""

import unicodedata
from pathlib import Path

# One looks like l and zero like o. Other ASCII characters that look alike stay distinct, as real names need them.
_ASCII = str.maketrans("01", "ol")
# Invisible characters that Unicode does not class as format characters: fillers, joiners, variation selectors.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | {chr(code) for code in range(0xFE00, 0xFE10)}


def _read_look_alikes() -> dict[str, str]:
    path = Path(__file__).with_name("look_alikes.txt")
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {chr(int(code, 16)): letters for letters, *codes in lines for code in codes}


_LOOK_ALIKES = _read_look_alikes()


def skeleton_of(username: str) -> str:
    """The username in lower case, without invisible characters.

    Letters of other scripts become the Latin letters that they look like, if there are any.
    """
    if username.isascii():
        return " ".join(username.lower().split()).translate(_ASCII)
    visible = (letter for letter in unicodedata.normalize("NFKC", username) if _shows(letter))
    letters = "".join(_LOOK_ALIKES.get(letter) or _small(letter) for letter in visible)
    return " ".join(unicodedata.normalize("NFKC", letters).split()).translate(_ASCII)


def _small(letter: str) -> str:
    return "".join(_LOOK_ALIKES.get(small, small) for small in letter.casefold())


def _shows(letter: str) -> bool:
    return letter not in _INVISIBLE and unicodedata.category(letter) not in {"Cf", "Cc"}
