"""Reads HTML as a browser would, and names everything in it that is not allowed."""

from html.parser import HTMLParser
from urllib.parse import urlsplit

from app.markdown import ALIGNMENTS, LINK_REL, MENTION_CLASS, SCHEMES, TAGS

VOID = {"br", "hr"}
ATTRIBUTES = {
    "a": {"href", "rel"},
    "ol": {"start"},
    "th": {"align"},
    "td": {"align"},
    "span": {"class"},
}


class Reader(HTMLParser):
    """Collects problems, tags and text. Character references in attributes are resolved."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.problems, self.tags, self.links, self.text, self._open = [], [], [], "", []
        self.feed(html)
        self.close()
        self.problems += [f"<{tag}> is not closed" for tag in self._open]

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        if tag not in TAGS:
            self.problems.append(f"<{tag}>")
        for name, value in attributes:
            if name not in ATTRIBUTES.get(tag, set()) or not is_harmless(name, value or ""):
                self.problems.append(f"<{tag} {name}={value!r}>")
        if tag == "a":
            found = dict(attributes)
            self.links.append(found.get("href"))
            if found.get("rel") != LINK_REL:
                self.problems.append(f"a link without rel: {attributes}")

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")

    def handle_data(self, text):
        self.text += text

    def handle_comment(self, comment):
        self.problems.append(f"<!--{comment}")

    def handle_decl(self, declaration):
        self.problems.append(f"<!{declaration}")

    def unknown_decl(self, declaration):
        self.problems.append(f"<![{declaration}")

    def handle_pi(self, instruction):
        self.problems.append(f"<?{instruction}")


def is_harmless(name, value):
    match name:
        case "href":
            # Browsers pass over blanks and control characters at the beginning of an address, and in its scheme.
            return value == value.strip() and value.isprintable() and urlsplit(value).scheme.lower() in SCHEMES
        case "align":
            return value in ALIGNMENTS
        case "class":
            return value == MENTION_CLASS
        case "start":
            return value.isascii() and value.isdigit()
        case "rel":
            return value == LINK_REL
    return False
