"""How Markdown becomes HTML that is safe to show, and whom it names after an @. See docs/adr/027.

Three walls keep out what a writer must not bring in. The parser reads no HTML, so tags are text. Only addresses of the
web and of mail become links, and images become links too, so nothing loads from elsewhere. And a sanitiser lets pass a
short list of tags and attributes, whatever the parser has made.
"""

import re
from collections.abc import Collection, Iterable, Iterator, MutableMapping, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.table import table
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.image import image
from markdown_it.rules_inline.link import link
from markdown_it.token import Token

SCHEMES = ("http", "https", "mailto")
LINK_REL = "nofollow noopener noreferrer"
ALIGNMENTS = ("left", "center", "right")
MENTION_CLASS = "mention"
TAGS = (
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s"),
    *("ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "span"),
)
# The time for brackets that never become a link grows with the square of their number in a paragraph. After so many
# links and images of a paragraph were tried, the others stay text.
MAX_LINKS_TRIED = 300
# A table gives each row as many cells as the first one has. A larger table stays text.
MAX_TABLE_CELLS = 5_000
MAX_NESTING = 30

# In plain text: an address of the web, or a name after an @ that is not a part of a word, a path or a mail address.
_ADDRESS_OR_NAME = re.compile(
    r"""(?<![\w@/.+-])(?:(?P<address>(?i:https?)://[^\s<>"`]+)|@(?P<name>[A-Za-z][A-Za-z0-9._-]{0,63}))"""
)
# At the end, these belong to the sentence rather than to the address or the name.
_SENTENCE = ".,:;!?'*_~-"
_MENTION = "mention"
_CELL = re.compile(r"text-align:(\w+)")

_cleaner = nh3.Cleaner(
    tags=set(TAGS),
    # The default would also remove the text of tags that are not allowed.
    clean_content_tags=set(),
    # By default, every tag may have a title and a language.
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
    tag_attribute_values={
        "th": {"align": set(ALIGNMENTS)},
        "td": {"align": set(ALIGNMENTS)},
        "span": {"class": {MENTION_CLASS}},
    },
    url_schemes=set(SCHEMES),
    url_relative="deny",
    link_rel=LINK_REL,
)


class Markdown:
    """A text that was parsed once, for reading its names and for making its HTML."""

    def __init__(self, source: str) -> None:
        self._tokens = _parser.parse(source)
        inline = (child for token in self._tokens for child in token.children or ())
        self._mentions = [child for child in inline if child.type == _MENTION]

    @property
    def names(self) -> Sequence[str]:
        """Each name after an @ outside of code and links, in small letters.

        A name with a dot or a dash at its end is here without it too: only the caller knows what belongs to the name.
        """
        return tuple(dict.fromkeys(name for mention in self._mentions for name in _spellings(mention)))

    def names_among(self, known: Collection[str]) -> frozenset[str]:
        """The known names that the text means. All are in small letters."""
        return frozenset(name for mention in self._mentions if (name := _name_of(mention, known)) is not None)

    def to_html(self, mentioned: Collection[str] = ()) -> str:
        """The HTML. Names among `mentioned`, which are in small letters, are marked; others stay text."""
        env = {"mentioned": mentioned}
        return _cleaner.clean(_parser.renderer.render(self._tokens, _parser.options, env))


def _split_text(state: StateCore) -> None:
    """A rule of the parser: find addresses and names in plain text, and turn images into links."""
    for token in state.tokens:
        if token.type == "inline" and token.children:
            token.children = list(_split(token.children))
        elif token.type in {"th_open", "td_open"} and "style" in token.attrs:
            aligned = _CELL.fullmatch(str(token.attrs.pop("style")))
            if aligned is not None:
                token.attrs["align"] = aligned[1]


def _split(children: Iterable[Token]) -> Iterator[Token]:
    is_in_link = False
    for child in children:
        if child.type in {"link_open", "link_close"}:
            is_in_link = child.type == "link_open"
            yield child
        elif child.type == "image":
            address = str(child.attrs["src"])
            shown = _text(child.content or address)
            yield from [shown] if is_in_link else _link_to(address, shown)
        elif child.type == "text" and not is_in_link:
            yield from _split_one(child.content)
        else:
            yield child


def _split_one(text: str) -> Iterator[Token]:
    end = 0
    for match in _ADDRESS_OR_NAME.finditer(text):
        if match["name"] is not None:
            marked, content = [Token(_MENTION, "", 0, content=match[0])], match[0]
        else:
            content = _without_end_of_sentence(match["address"])
            address = _parser.normalizeLink(content)
            marked = list(_link_to(address, _text(content))) if _is_allowed(address) else [_text(content)]
        yield _text(text[end : match.start()])
        yield from marked
        end = match.start() + len(content)
    yield _text(text[end:])


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _link_to(address: str, shown: Token) -> Iterator[Token]:
    yield Token("link_open", "a", 1, attrs={"href": address})
    yield shown
    yield Token("link_close", "a", -1)


def _without_end_of_sentence(address: str) -> str:
    """The address without punctuation behind it, and without a bracket that was opened before it."""
    shorter = address.rstrip(_SENTENCE)
    while shorter.endswith(")") and shorter.count(")") > shorter.count("("):
        shorter = shorter[:-1].rstrip(_SENTENCE)
    return shorter


def _spellings(mention: Token) -> Iterator[str]:
    """The name with everything behind the @, then without the punctuation at its end."""
    name = mention.content[1:].lower()
    yield name
    shorter = name.rstrip(_SENTENCE)
    if shorter != name:
        yield shorter


def _name_of(mention: Token, known: Collection[str]) -> str | None:
    return next((name for name in _spellings(mention) if name in known), None)


def _is_allowed(address: str) -> bool:
    """True for an address with one of the schemes. A relative one is refused: nobody knows where it will be shown."""
    scheme, colon, rest = address.partition(":")
    return bool(colon and rest) and scheme.lower() in SCHEMES


def _tries_more_links(state: StateInline) -> bool:
    """Count one more attempt in this paragraph. False after the last one."""
    tried: MutableMapping[str, int] = state.env.setdefault("links_tried", {})
    tried[state.src] = tried.get(state.src, 0) + 1
    return tried[state.src] <= MAX_LINKS_TRIED


def _link(state: StateInline, silent: bool) -> bool:
    return state.src[state.pos] == "[" and _tries_more_links(state) and link(state, silent)


def _image(state: StateInline, silent: bool) -> bool:
    return state.src.startswith("![", state.pos) and _tries_more_links(state) and image(state, silent)


def _table(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    if not table(state, first, end, True):
        return False
    lines = range(first, end)
    count = next((line - first for line in lines if state.isEmpty(line)), len(lines))
    columns = state.src.count("|", state.bMarks[first], state.eMarks[first]) + 1
    return columns * count <= MAX_TABLE_CELLS and table(state, first, end, silent)


class _Renderer(RendererHTML):
    def mention(self, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
        token = tokens[idx]
        name = _name_of(token, env["mentioned"])
        if name is None:
            return escapeHtml(token.content)
        end = 1 + len(name)
        return (
            f'<span class="{MENTION_CLASS}">{escapeHtml(token.content[:end])}</span>{escapeHtml(token.content[end:])}'
        )


def _make_parser() -> MarkdownIt:
    options = {"html": False, "breaks": True, "maxNesting": MAX_NESTING}
    parser = MarkdownIt("commonmark", options, renderer_cls=_Renderer).enable(["table", "strikethrough"])
    parser.disable(["html_block", "html_inline"])
    parser.validateLink = _is_allowed  # type: ignore[method-assign, assignment]
    parser.inline.ruler.at("link", _link)
    parser.inline.ruler.at("image", _image)
    parser.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
    parser.core.ruler.push("split_text", _split_text)
    return parser


_parser = _make_parser()
