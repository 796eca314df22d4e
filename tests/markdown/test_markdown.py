import time

import pytest

from app.markdown import MAX_LINKS_TRIED, Markdown
from app.models.comments.comment import MAX_BODY_LENGTH
from tests.markdown.html import Reader

WIDE_TABLE = "a|" * 600 + "\n" + "-|" * 600 + "\n" + "x\n" * 8_000
# A comment of nothing else took the parser alone up to a second, or takes it longer than others.
PATTERNS = [
    *("[", "![", "[]", "[a](", "]", "<", "<![CDATA[", "://", "https://@", "@a.", "&#", "> ", "- a\n", "[a]: b\n"),
    *("*a_ **b__ ", "***a", "~~a", "`a``", "|a", "a|b\n-|-\nc|d\n\n", WIDE_TABLE),
]
REL = 'rel="nofollow noopener noreferrer"'


class TestHtml:
    @pytest.mark.parametrize(
        ("source", "html"),
        [
            ("**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
            ("a\nb", "<p>a<br>\nb</p>"),
            ("# a", "<h1>a</h1>"),
            ("> a", "<blockquote>\n<p>a</p>\n</blockquote>"),
            ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
            ("```py\n<b>\n```", "<pre><code>&lt;b&gt;\n</code></pre>"),
            ("<b>a</b>", "<p>&lt;b&gt;a&lt;/b&gt;</p>"),
        ],
    )
    def test_is_made_of_markdown_alone(self, source, html):
        assert Markdown(source).to_html().strip() == html

    def test_a_table_has_its_alignment(self):
        html = Markdown("|a|b|c|\n|-|:-:|-:|\n|1|2|3|").to_html()

        assert "<th>a</th>" in html
        assert '<td align="center">2</td>' in html
        assert '<td align="right">3</td>' in html

    @pytest.mark.parametrize(
        ("source", "address"),
        [
            ("[a](https://example.org)", "https://example.org"),
            ("<https://example.org>", "https://example.org"),
            ("[a](mailto:ann@example.org)", "mailto:ann@example.org"),
            ("<ann@example.org>", "mailto:ann@example.org"),
            ("see https://example.org/a_b?c=d&e=f.", "https://example.org/a_b?c=d&e=f"),
            ("(https://example.org/a_(b))", "https://example.org/a_(b)"),
            ("HTTPS://EXAMPLE.org!", "HTTPS://EXAMPLE.org"),
            ("![a](https://example.org/1.png)", "https://example.org/1.png"),
            ("![](https://example.org/1.png)", "https://example.org/1.png"),
        ],
    )
    def test_links_go_to_the_web_and_to_mail(self, source, address):
        assert Reader(Markdown(source).to_html()).links == [address]

    def test_an_image_in_a_link_is_its_text(self):
        html = Markdown("[![a](https://example.org/1.png)](https://example.org/2)").to_html()

        assert html.strip() == f'<p><a href="https://example.org/2" {REL}>a</a></p>'

    @pytest.mark.parametrize("source", ["`https://example.org`", "ahttps://example.org", "    https://example.org"])
    def test_code_and_words_hold_no_links(self, source):
        assert Reader(Markdown(source).to_html()).links == []


class TestMentions:
    @pytest.mark.parametrize(
        ("source", "names"),
        [
            ("@ann", ["ann"]),
            ("@Ann and @BOB", ["ann", "bob"]),
            ("(@ann) *@bob* > @eve", ["ann", "bob", "eve"]),
            ("@ann @ann", ["ann"]),
            ("@ann.", ["ann.", "ann"]),
            ("@ann_b-c.d", ["ann_b-c.d"]),
            ("- @ann\n\n> @bob\n\n|@eve|\n|-|\n|@joe|", ["ann", "bob", "eve", "joe"]),
        ],
    )
    def test_are_names_after_an_at(self, source, names):
        assert list(Markdown(source).names) == names

    @pytest.mark.parametrize(
        "source",
        [
            "`@ann`",
            "```\n@ann\n```",
            "    @ann",
            "[@ann](https://example.org)",
            "<https://example.org/@ann>",
            "https://example.org/@ann",
            "![@ann](https://example.org)",
            "ann@bob",
            "é@ann",
            "a.@ann",
            "@@ann",
            "\\@1",
            "@ ann",
            "@1ann",
        ],
    )
    def test_code_links_and_addresses_hold_none(self, source):
        assert Markdown(source).names == ()

    def test_only_known_names_are_marked_as_they_were_written(self):
        text = Markdown("@ANN and @bob.")

        assert text.names_among({"ann", "eve"}) == {"ann"}
        assert text.to_html({"ann"}).strip() == '<p><span class="mention">@ANN</span> and @bob.</p>'

    def test_the_longest_known_name_is_meant(self):
        text = Markdown("@ann.")

        assert text.names_among({"ann", "ann."}) == {"ann."}
        assert text.to_html({"ann"}).strip() == '<p><span class="mention">@ann</span>.</p>'


class TestBounds:
    def test_a_paragraph_tries_so_many_links(self):
        links = Reader(Markdown("[a](mailto:a@b.c) " * (MAX_LINKS_TRIED + 5)).to_html()).links

        assert len(links) == MAX_LINKS_TRIED

    def test_each_paragraph_has_a_count_of_its_own(self):
        """A long list of boxes to tick is no attack."""
        source = "- [ ] [a](https://b.c)\n" * (MAX_LINKS_TRIED // 2 + 5)

        assert len(Reader(Markdown(source).to_html()).links) == MAX_LINKS_TRIED // 2 + 5

    def test_a_table_of_too_many_cells_stays_text(self):
        wide = "|a" * 60 + "\n" + "|-" * 60 + "\n"

        assert "table" in Reader(Markdown(wide + "x\n" * 20).to_html()).tags
        assert "table" not in Reader(Markdown(wide + "x\n" * 200).to_html()).tags

    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_no_pattern_takes_much_longer_than_ordinary_text(self, pattern):
        """The slowest takes about five times as long. Without the bounds, several of them took a second or more."""
        assert seconds_for(pattern) < 12 * seconds_for("A *word* and `code`, and [a link](https://a.b).\n")

    def test_quotations_are_nested_only_so_deep(self):
        assert Reader(Markdown(">" * 20_000).to_html()).tags.count("blockquote") < 50


def seconds_for(pattern):
    """The processor time for a comment of the greatest length that repeats the pattern."""
    started = time.process_time()
    text = Markdown((pattern * MAX_BODY_LENGTH)[:MAX_BODY_LENGTH])
    text.to_html(text.names)
    return time.process_time() - started
