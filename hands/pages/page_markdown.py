"""Converts a page to Markdown, with its title, date and links (pure: bytes in, values out; by readability and markdownify).

readability finds the page's article, as browsers' reading views do; if it finds next to nothing, or the whole page is
wanted, the body is used. Scripts, styles and hidden elements are left out: hidden is what the tags themselves say, since
style sheets are not read. Of a form all is used but its controls, since some sites put each page into one.
"""

import re
from typing import Final
from urllib.parse import urljoin

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring, tostring
from markdownify import MarkdownConverter
from msgspec import Struct
from readability import Document

from page_refusal import PageRefused
from runtime.charsets import page_in_utf_8

LINKS_MOST: Final = 300
LINK_MOST: Final = 2_000
LINKS_ROOM: Final = 400_000
"""Most links of a page, characters of a URL, bytes of all links: they fit into a reply beside the longest text."""

_NO_MEMORY: Final = 2
_FEW: Final = 200
"""Characters. A shorter article is assumed to be a mistake, and the whole page is used."""

_HIDDEN: Final = "hidden-here"
"""Tag given to hidden elements before they are removed. A page that really has it loses that element."""

_UNSEEN: Final = (
    "script", "style", "template", "svg", "iframe", "object", "embed", "button", "select", "textarea", "datalist", "meta",
    _HIDDEN,
)  # fmt: skip
_NOT_SHOWN: Final = re.compile(r"(?i)(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))\b")
_DATES: Final = (
    "//meta[@property='article:published_time']/@content",
    "//meta[@itemprop='datePublished']/@content",
    "//meta[translate(@name, 'DCTERMS', 'dcterms')='dc.date' or @name='date' or @name='dcterms.created']/@content",
    "//*[@itemprop='datePublished']/@datetime",
    "//time[@pubdate]/@datetime",
    "//article//time/@datetime",
)
ONWARD: Final = "(browsers go on to this page by themselves)"
_REFRESH: Final = re.compile(r"""(?i)[\s\d.]*[;,\s]\s*(?:url\s*=\s*)?["']?([^"']+)""")
_NUMBER: Final = re.compile(r"(?a)[0-9]{1,6}")
_JSON_DATE: Final = re.compile(r'"datePublished"\s*:\s*"([^"]{4,40})"')
_DATE: Final = re.compile(r"\d{4}-\d{2}(-\d{2}([T ][0-9:.]{5,15} ?(Z|[+-]\d{2}:?\d{2})?)?)?")


class Page(Struct, frozen=True, kw_only=True):
    """A converted page. date: as the page gives it, ISO 8601, or "". links: (text, absolute URL) of each, in order."""

    title: str
    date: str
    markdown: str
    links: tuple[tuple[str, str], ...]


class _Converter(MarkdownConverter):
    """markdownify's converter, except that it escapes a `|` in a table's cell, which would end the cell."""

    def process_text(self, el: object, parent_tags: set[str] | None = None) -> str:
        """Converts a text. parent_tags: names of the elements around it."""
        text = str(super().process_text(el, parent_tags))  # type: ignore[misc]  # missing in its types
        return text if not parent_tags or parent_tags.isdisjoint(("td", "th")) else text.replace("|", r"\|")


def read(raw: bytes, url: str, charset: str, *, whole: bool) -> Page:
    """Converts a page. url: its address; charset: of its header, or "". Raises PageRefused, MemoryError, RecursionError."""
    tree = _opened(raw, charset)
    try:
        return _converted(tree, url, whole=whole)
    except etree.LxmlError:  # the page was parsed, and every expression is ours: nothing else can be wrong
        raise MemoryError from None


def _converted(tree: HtmlElement, url: str, *, whole: bool) -> Page:
    base = _base(url, next(iter(tree.xpath("//base/@href")), ""))
    title = " ".join((tree.findtext(".//title") or "").split())
    date = _date(tree)
    onward = _onward(tree, base)
    _strip_unseen(tree)
    _make_absolute(tree, base)
    for one in tree.xpath("//*[@start or @colspan]"):
        for name in (
            "start",
            "colspan",
        ):  # markdownify calls int() if isdigit(), which is true of more than int() takes
            if not _NUMBER.fullmatch(one.get(name, "1")):
                del one.attrib[name]
    body = tree.find("body")
    shown = body if body is not None else tree
    article = None if whole else _article(tree)
    chosen = shown if article is None else article
    text = _Converter(heading_style="ATX", bullets="-", strip=["img"]).convert(tostring(chosen, encoding="unicode"))
    markdown = re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<![ \t])[ \t]+\n", "\n", text)).strip() + "\n"
    return Page(title=title[:500], date=date, markdown=markdown, links=(*onward, *_links(chosen)))


def _opened(raw: bytes, charset: str) -> HtmlElement:
    parser = HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
    try:
        return document_fromstring(page_in_utf_8(raw, charset), parser=parser)
    except etree.XMLSyntaxError as error:
        if error.code == _NO_MEMORY:
            raise MemoryError from None
        raise PageRefused("unknown type", f"It cannot be read as a page: {error}") from None
    except (etree.LxmlError, ValueError, AssertionError, LookupError) as error:
        raise PageRefused("unknown type", f"It cannot be read as a page: {error}") from None


def _strip_unseen(tree: HtmlElement) -> None:
    """Removes hidden elements, and styles, which say no more than that. Keeps `noscript` if nothing would show without it.

    Libraries look for addresses in styles and in `meta`, by expressions that take quadratic time.
    """
    for one in tree.xpath("//body//*[@hidden or @style or self::dialog[not(@open)]]"):
        is_hidden = one.tag == "dialog" or one.get("hidden", "until-found").lower() != "until-found"
        if is_hidden or _NOT_SHOWN.search(one.get("style", "")):
            one.tag = _HIDDEN
    for one in tree.xpath("//*[@style]"):
        del one.attrib["style"]
    etree.strip_elements(tree, *_UNSEEN, with_tail=False)
    etree.strip_elements(tree, etree.Comment, etree.ProcessingInstruction, with_tail=False)
    if tree.xpath("boolean(//body//text()[normalize-space() and not(ancestor::noscript)])"):
        etree.strip_elements(tree, "noscript", with_tail=False)
    etree.strip_tags(tree, "form", "noscript")


def _article(tree: HtmlElement) -> HtmlElement | None:
    try:
        found = document_fromstring(Document(tostring(tree, encoding="unicode")).summary(html_partial=True))
    except (etree.LxmlError, ValueError, TypeError, AttributeError, LookupError):
        return None
    return found if len(found.text_content().strip()) >= _FEW else None


def _date(tree: HtmlElement) -> str:
    for way in _DATES:
        for text in tree.xpath(way):
            if match := _DATE.match(str(text).strip()):
                return match[0]
    for script in tree.xpath("//script[@type='application/ld+json']/text()"):
        if (found := _JSON_DATE.search(str(script))) and (match := _DATE.match(found[1])):
            return match[0]
    return ""


def _onward(tree: HtmlElement, base: str) -> tuple[tuple[str, str], ...]:
    """The page that browsers go to from this one by themselves, as a link: it may have nothing else (HTML, §4.2.5.3)."""
    told = tree.xpath("//meta[translate(@http-equiv, 'REFSH', 'refsh')='refresh']/@content")
    found = _REFRESH.match(str(told[0])) if told else None
    target = _joined(base, found[1]) if found else ""
    return ((ONWARD, target),) if target else ()


def _make_absolute(element: HtmlElement, base: str) -> None:
    for one in element.iter("a"):
        target = _joined(base, one.get("href") or "")
        if target:
            one.set("href", target)
        else:
            one.attrib.pop("href", None)


def _base(url: str, told: str) -> str:
    """The base URL of a page's links: its `base` element's, or else its own."""
    try:
        return urljoin(url, told)
    except ValueError:
        return url


def _joined(base: str, target: str) -> str:
    """An absolute http(s) URL without fragment; "" if it is not one."""
    try:
        joined = urljoin(base, target.strip()).partition("#")[0]
    except ValueError:
        return ""
    if not target.strip():
        return ""
    return joined if joined.startswith(("http://", "https://")) and len(joined) <= LINK_MOST else ""


def _links(element: HtmlElement) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    room = LINKS_ROOM
    for one in element.iter("a"):
        target = one.get("href")
        if target and target not in found:
            text = " ".join(one.text_content().split())[:200]
            room -= len(f"{target}{text}".encode("utf-8", "replace")) + 20
            if len(found) == LINKS_MOST or room < 0:
                break
            found[target] = text
    return tuple((text, target) for target, text in found.items())
