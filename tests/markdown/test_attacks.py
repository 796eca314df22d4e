"""What an attacker may write stays harmless: the HTML is read by a parser, which knows what is allowed."""

from html import unescape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.markdown import Markdown
from tests.markdown.html import Reader

ATTACKS = Path(__file__).with_name("attacks.txt").read_text(encoding="utf-8").splitlines()
# Every attack stands alone, and where the parser reads text in another way.
PLACES = {
    "alone": "{}",
    "in a word": "a{}b",
    "in emphasis": "*{}* **{}**",
    "in a quotation": "> {}\n> {}",
    "in a list": "1. {}\n   - {}",
    "in a link": "[{}](https://example.org)",
    "in the address of a link": "[x](<{}>)",
    "in the title of a link": '[x](https://example.org "{}")',
    "in an image": "![{}](https://example.org/1.png)",
    "as a reference": "[a]\n\n[a]: {}\n\n[b]\n\n[b]: <{}>",
    "in a table": "|a|b|\n|-|-|\n|{}|{}|",
    "in code that is not closed": "```\n{}",
    "in words of code": "```{}\nx\n```",
    "in an unclosed tag": "<a href={}",
}
FRAGMENTS = ["<", ">", '"', "'", "&", ";", ":", "(", ")", "[", "]", "!", "`", "\\", "|", "-", "\n", "\t", " ", "@", "#",
             "javascript", "script", "onerror=", "href=", "https://", "data:", "&#x6a;", "<!--", "-->", "*", "_", "~~",
             "\u202e", "\u0000", "é"]  # fmt: skip


class TestAttacks:
    def test_there_are_many(self):
        assert len(set(ATTACKS)) == len(ATTACKS) > 100

    @pytest.mark.parametrize("place", PLACES)
    def test_none_gets_through(self, place):
        problems = {}
        for attack in ATTACKS:
            html = Markdown(PLACES[place].replace("{}", attack)).to_html(["admin", "x"])
            problems[attack] = Reader(html).problems

        assert {attack: found for attack, found in problems.items() if found} == {}

    @pytest.mark.parametrize("attack", [line for line in ATTACKS if line.startswith("<") and "`" not in line])
    def test_tags_stay_text(self, attack):
        """They are shown as they were written, so that people can talk about them."""
        is_address = attack.startswith(("<https:", "<mailto:"))

        assert is_address or Reader(Markdown(attack).to_html()).text.strip() == unescape(attack)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=40).map("".join))
    def test_nothing_else_gets_through_either(self, source):
        assert Reader(Markdown(source).to_html(["script"])).problems == []
