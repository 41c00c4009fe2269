"""Pages become Markdown, feeds entries, and answers of engines results; what is none of these is told."""

import json
import time
from contextlib import suppress
from html import escape
from pathlib import Path

import pytest
from lxml import etree

from runtime import Failure
from tests.hands.doubles import hand_module
from wire.codec import encode_body

main = hand_module("pages", "main")
markdown = hand_module("pages", "page_markdown")
feeds = hand_module("pages", "feed_reading")
engines = hand_module("pages", "search_engines")
lines = hand_module("pages", "plain_line")
PageRefused = hand_module("pages", "page_refusal").PageRefused

URL = "https://example.org/news/a.html"
TEXT = "Rain fell on the hills for the third day in a row, and the river rose above its banks. " * 4
ARTICLE = f"""<!doctype html><html><head><title> The  river </title>
<meta property="article:published_time" content="2026-06-01T10:00:00Z"><style>p {{ x }}</style></head><body>
<nav><a href="/">Home</a><a href="/imprint">Imprint</a></nav>
<article><h1>The river</h1><p>{TEXT}</p><h2>Then</h2><p>{TEXT}<a href="../map?x=1#top">the <b>map</b></a>
<a href="javascript:alert(1)">click</a><script>alert(2)</script></p><ul><li>one</li><li>two</li></ul></article>
<footer>Copyright</footer></body></html>""".encode()


def read(raw: bytes, charset: str = "", *, whole: bool = False):  # type: ignore[no-untyped-def]  # a Page of the Hand's
    return markdown.read(raw, URL, charset, whole=whole)


def test_an_article_is_read_without_what_stands_around_it() -> None:
    page = read(ARTICLE)
    assert (page.title, page.date) == ("The river", "2026-06-01T10:00:00Z")
    assert "## Then" in page.markdown
    assert "[the **map**](https://example.org/map?x=1)" in page.markdown
    for absent in ("Imprint", "Copyright", "alert", "javascript", "p { x }"):
        assert absent not in page.markdown
    assert page.links == (("the map", "https://example.org/map?x=1"),)


def test_the_whole_page_is_read_when_wanted_and_when_there_is_no_article() -> None:
    page = read(ARTICLE, whole=True)
    assert "[Imprint](https://example.org/imprint)" in page.markdown
    assert "Copyright" in page.markdown
    assert "- one\n- two" in page.markdown
    assert "short" in read(b"<html><body><p>short</p></body></html>").markdown


def test_what_stands_in_a_form_is_read_but_for_its_controls() -> None:
    controls = "<input value=typed><textarea>typed</textarea><select><option>chosen</select>"
    page = f"<body><form><h1>The river</h1><p>{TEXT}</p><p>{TEXT}</p>{controls}<button>press</button></form></body>"
    for whole in (False, True):
        found = read(page.encode(), whole=whole).markdown
        assert "# The river" in found
        assert found.count("Rain fell") == 8
        assert not [word for word in ("typed", "chosen", "press") if word in found]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "start", ["<div hidden>", "<div style='color: red; DISPLAY : none'>", "<div style='visibility:hidden'>", "<dialog>"]
)
def test_what_is_not_shown_is_not_read(start: str, whole: bool) -> None:
    unseen = f"{start}<p>{TEXT.replace('Rain', 'Hidden rain')}</p></{start[1:7].split(' ')[0].rstrip('>')}>"
    found = read(f"<body><article><p>{TEXT}</p>{unseen}<p>{TEXT}</p></article></body>".encode(), whole=whole).markdown
    assert found.count("Rain fell") == 8
    assert "Hidden" not in found


def test_a_page_that_only_its_scripts_would_show_is_read_all_the_same() -> None:
    shown = read(f"<html style='display:none'><body style='visibility:hidden'><p>{TEXT}</p></body></html>".encode())
    assert "Rain fell" in shown.markdown
    page = "<body><div id=app></div><noscript>Switch scripts on.</noscript></body>"
    assert "Switch scripts on." in read(page.encode()).markdown
    assert "scripts" not in read(page.replace("<div id=app>", f"<div id=app>{TEXT}").encode()).markdown


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ('<script type="application/ld+json">{"datePublished": "2026-01-02T03:04:05+01:00"}</script>',
         "2026-01-02T03:04:05+01:00"),
        ('<meta name="date" content="2026-01-02">', "2026-01-02"),
        ('<meta itemprop="datePublished" content="yesterday">', ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_date_is_what_the_page_says(head: str, date: str) -> None:
    assert read(f"<html><head>{head}</head><body><p>{TEXT}</p></body></html>".encode()).date == date


@pytest.mark.parametrize(("count", "lets"), [(2_000, True), (2_001, False)])
def test_rules_that_lie_elsewhere_are_as_many_at_most_as_those_of_the_site(count: int, lets: bool) -> None:
    rules = b"User-agent: other\nDisallow: /\n" * 2_001 + b"User-agent: *\n" + b"Disallow: /private\n" * count
    assert main._lets(rules, URL) is lets


def test_hostile_pages_end_in_little_time() -> None:
    began = time.monotonic()
    for raw in (
        b"<div>" * 50_000, b"<a href='x'>" * 8_000, b"", b"\0" * 1000, b"<!--" * 50_000, b"<table>" * 5000,
        b"<html>" + b"<p>" + b"a " * 500_000, b"<![CDATA[" * 1000, b"&lt;" * 100_000,
    ):  # fmt: skip
        try:
            read(raw)
        except (PageRefused, RecursionError, MemoryError):
            continue
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "error", [etree.XPathEvalError("unknown error"), SystemError("error return without exception set")]
)
def test_a_page_for_which_a_library_has_no_memory_left_is_told_as_too_large(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:  # as lxml does, with half a gigabyte of cells
        raise error

    monkeypatch.setattr(markdown, "_strip_unseen", fail)
    with pytest.raises(Failure) as raised, main._as_failures(URL):
        read(ARTICLE)
    assert (raised.value.code, URL in str(raised.value)) == ("too large", True)


@pytest.mark.parametrize(
    "part", [b'<meta http-equiv=refresh content="%s">' % (b"1" * 20_000), b'<p style="%s">' % (b"url(" * 20_000)]
)
def test_a_page_of_one_long_attribute_is_read_in_little_time(part: bytes) -> None:
    began = time.process_time()
    assert "The river" in read(ARTICLE.replace(b"<nav>", part + b"<nav>")).title
    assert time.process_time() - began < 1


RSS = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>https://example.org/</link>
<item><title>One &amp; only</title><link>https://example.org/1</link><guid>urn:1</guid>
<pubDate>Mon, 01 Jun 2026 10:00:00 GMT</pubDate>
<description>&lt;p&gt;Hello &lt;b&gt;you&lt;/b&gt;&lt;/p&gt;</description></item>
<item><title>Two</title><link>https://example.org/2</link></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><entry><title>E</title><id>urn:1</id>
<link href="https://example.org/e"/><updated>2026-06-01T10:00:00Z</updated></entry></feed>"""
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">%s]><rss version="2.0"><channel><title>&j;</title></channel></rss>'
    % (b"".join(b'<!ENTITY %c "%s">' % (ord("b") + at, b"&%c;" % (ord("a") + at) * 10) for at in range(9)))
)


def test_entries_of_rss_and_atom() -> None:
    found = feeds.read(RSS, URL, "", 1)
    assert (found["title"], found["more"]) == ("News", True)
    assert found["entries"] == [
        {"title": "One & only", "url": "https://example.org/1", "id": "urn:1",
         "date": "2026-06-01T10:00:00Z", "summary": "Hello you"}
    ]  # fmt: skip
    (entry,) = feeds.read(ATOM, URL, "", 50)["entries"]
    assert (entry["title"], entry["id"], entry["date"]) == ("E", "urn:1", "2026-06-01T10:00:00Z")


@pytest.mark.wide
def test_what_is_no_feed_is_told_and_entities_do_not_unfold() -> None:
    for raw in (b"", b"<html><p>no feed</p></html>", b"\0\xff"):
        with pytest.raises(PageRefused) as refused:
            feeds.read(raw, URL, "", 50)
        assert refused.value.code == "unknown type"
    began = time.process_time()
    try:
        assert len(str(feeds.read(LAUGHS, URL, "", 50)["title"])) < 2000
    except PageRefused:
        pass
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("charset", "raw"),
    [
        ("windows-1251", "<rss version='2.0'><channel><title>Привет</title></channel></rss>".encode("cp1251")),
        ("utf-8", b"<?xml version='1.0'?>" + "<rss version='2.0'><channel><title>Привет</title></channel></rss>".encode()),
        ("", "<rss version='2.0'><channel><title>Привет</title></channel></rss>".encode()),
        ("", "\ufeff<rss version='2.0'><channel><title>Привет</title></channel></rss>".encode()),
        ("", "\ufeff<rss version='2.0'><channel><title>Привет</title></channel></rss>".encode("utf-16-le")),
        ("utf-8", "<?xml version='1.0' encoding='windows-1251'?><rss version='2.0'><channel><title>Привет</title></channel>"
         "</rss>".encode("cp1251")),
        ("us-ascii", "<?xml version='1.0' encoding='utf-16'?><rss version='2.0'><channel><title>Привет</title></channel>"
         "</rss>".encode("utf-16-be")),
        ("no-such-charset", "<rss version='2.0'><channel><title>Привет</title></channel></rss>".encode()),
    ],
)  # fmt: skip
def test_a_feed_is_read_in_the_characters_that_it_names_or_else_its_header(charset: str, raw: bytes) -> None:
    assert feeds.read(raw, URL, charset, 9)["title"] == "Привет"


def test_a_feed_in_no_characters_that_anything_names_is_read_as_a_browser_does() -> None:
    raw = b"<rss version='2.0'><channel><title>\x93Fish\x94</title></channel></rss>"
    assert feeds.read(raw, URL, "utf-8", 9)["title"] == "“Fish”"


def test_a_body_that_reads_like_the_name_of_a_file_or_an_address_is_no_feed(tmp_path: Path) -> None:
    file = tmp_path / "feed.xml"
    file.write_bytes(RSS)
    for body in (str(file), file.as_uri()):
        with pytest.raises(PageRefused) as refused:
            feeds.read(body.encode(), URL, "", 50)
        assert refused.value.code == "unknown type"


def test_searxng_is_asked_and_read() -> None:
    kind, address = engines.engine({"home": "searxng https://search.example.org/search"}, "home")
    asked = engines.search_url(kind, address, "a b&c", 2, "de")
    assert asked == "https://search.example.org/search?q=a+b%26c&format=json&pageno=2&language=de"
    raw = b"""{"results": [{"title": "T", "url": "https://x.example/", "content": "C", "publishedDate": null},
        {"title": "bad", "url": "javascript:alert(1)"}, 7]}"""
    assert engines.parse_results(kind, address, raw) == [
        {"title": "T", "url": "https://x.example/", "summary": "C", "date": ""}
    ]


def test_mediawiki_is_asked_and_read() -> None:
    kind, address = engines.engine({"w": "mediawiki https://en.wikipedia.org/w/api.php"}, "w")
    assert "srsearch=a+b" in engines.search_url(kind, address, "a b", 3, "")
    assert "sroffset=20" in engines.search_url(kind, address, "a b", 3, "")
    raw = b'{"query": {"search": [{"title": "T", "pageid": 12, "snippet": "a <i>b</i>", "timestamp": "2026-01-01T00:00Z"}]}}'
    assert engines.parse_results(kind, address, raw) == [
        {"title": "T", "url": "https://en.wikipedia.org/w/index.php?curid=12", "summary": "a b",
         "date": "2026-01-01T00:00Z"}
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["²", "9" * 5_000, -1, 1.5, None, []])
def test_a_page_of_mediawiki_whose_number_is_none_is_passed_over(number: object) -> None:
    kind, address = engines.engine({"w": "mediawiki https://en.wikipedia.org/w/api.php"}, "w")
    rows = [{"title": "odd", "pageid": number}, {"title": "T", "pageid": 12}]
    found = engines.parse_results(kind, address, json.dumps({"query": {"search": rows}}).encode())
    assert [row["title"] for row in found] == ["T"]


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b"[" * 100_000, b"\xff"])
def test_what_is_no_answer_of_an_engine_is_told(raw: bytes) -> None:
    kind, address = engines.engine({"home": "searxng https://s.example/search"}, "home")
    with pytest.raises(PageRefused) as refused:
        engines.parse_results(kind, address, raw)
    assert refused.value.code == "unknown type"


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"home": ""},
        {"home": "bing https://x/"},
        {"home": "searxng ftp://x/"},
        {"home": "searxng https://x/?a=b"},
        {"home": 7},
    ],
)
def test_an_engine_that_is_not_or_wrongly_named_is_told(named: dict[str, object]) -> None:
    with pytest.raises(PageRefused) as refused:
        engines.engine(named, "home")
    assert refused.value.code == "engine"


def test_a_page_of_blanks_takes_time_proportional_to_it() -> None:
    blanks = "\t" * 60_000
    begun = time.process_time()
    read(f"<html><body><p>{TEXT}</p><pre>x{blanks}x</pre></body></html>".encode(), whole=True)
    assert time.process_time() - begun < 1  # it takes 0.1 s, and took 4


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Why 1 &lt; 2 and 3 &gt; 2", "Why 1 < 2 and 3 > 2"),
        ("&lt;p&gt;Fish &amp;amp; Chips, 1 &amp;lt;b&amp;gt;&lt;/p&gt;", "Fish & Chips, 1 <b>"),
        ("a&lt;br&gt;&amp;#10;&amp;#27;&amp;#xD800;&amp;#8203;b &amp;lt;", "a \ufffd\u200bb <"),
    ],
)
def test_a_text_of_a_feed_keeps_its_signs_and_loses_its_tags(told: str, shown: str) -> None:
    for item in (f"<title>{told}</title>", f"<description>{told}</description>"):
        raw = f"<rss version='2.0'><channel><item>{item}</item></channel></rss>".encode()
        (entry,) = feeds.read(raw, URL, "", 9)["entries"]
        assert shown in (entry["title"], entry["summary"])
        encode_body(entry)
    plain = b"<feed xmlns='http://www.w3.org/2005/Atom'><title type='text'>List&lt;String&gt; &amp;amp;</title></feed>"
    assert feeds.read(plain, URL, "", 9)["title"] == "List<String> &amp;"


def test_a_text_of_an_engine_is_one_and_a_snippet_is_html() -> None:
    kind, address = engines.engine({"home": "searxng https://s.example/search"}, "home")
    row = {"url": "https://x.example/", "title": "1 < 2 and 3 > 2 in List<String>", "content": "R&amp;D is an entity"}
    (found,) = engines.parse_results(kind, address, json.dumps({"results": [row]}).encode())
    assert (found["title"], found["summary"]) == (row["title"], row["content"])
    kind, address = engines.engine({"w": "mediawiki https://en.wikipedia.org/w/api.php"}, "w")
    snippet = '<span class="searchmatch">Fish</span> &amp; Chips, &quot;1 &lt; 2&quot;&#10;x'
    (found,) = engines.parse_results(
        kind,
        address,
        json.dumps({"query": {"search": [{"title": "a < b > c", "pageid": 1, "snippet": snippet}]}}).encode(),
    )
    assert (found["title"], found["summary"]) == ("a < b > c", 'Fish & Chips, "1 < 2" x')
    assert lines.line("<b>&#" + "9" * 5_000, tag="")[:4] == "&#99"


def test_a_feed_and_results_of_signs_that_open_take_time_proportional_to_them() -> None:
    begun = time.process_time()
    assert lines.line("<" * 100_000 + "b>", tag=" ")[:3] == "<<<"
    assert lines.line("<b" * 100_000, tag=" ")[:4] == "<b<b"
    assert lines.line("a <b>c</b> <br/>d", tag=" ") == "a c d"
    assert time.process_time() - begun < 2  # it takes 0.01 s, and took 12


@pytest.mark.wide
def test_links_and_entries_fit_into_a_reply_however_long_they_are() -> None:
    links = "".join(f'<a href="/{number}/{"é" * 1_900}">{"語" * 300}</a>' for number in range(400))
    page = read(f"<html><body>{'<p>文</p>' * 9_000}{links}</body></html>".encode(), whole=True)
    told = {"markdown": page.markdown[:100_000], "links": [{"text": text, "url": url} for text, url in page.links]}
    encode_body(told)
    assert 50 < len(page.links) < 300
    item = f"<item><title>{'語' * 900}</title><link>https://x.example/{'a' * 1_900}</link>"
    item += f"<description>{'語' * 900}</description></item>"
    feed = feeds.read(f"<rss version='2.0'><channel>{item * 200}</channel></rss>".encode(), URL, "", 200)
    encode_body(feed)
    assert feed["more"] is True
    assert len(feed["entries"]) > 50


def test_a_bar_within_a_cell_of_a_table_divides_it_not() -> None:
    rows = "<tr><th>sign<th>means</tr><tr><td>a | b<td><code>x|y</code></tr>"
    page = read(f"<body><p>either | or</p><table>{rows}</table></body>".encode())
    assert "either | or" in page.markdown
    assert "| sign | means |\n" in page.markdown
    assert "| a \\| b | `x\\|y` |" in page.markdown


def test_a_page_whose_base_is_none_is_read_from_where_it_came() -> None:
    page = read(b'<html><head><base href="http://[broken/"></head><body><p>x</p><a href="b">to b</a></body></html>')
    assert page.links == (("to b", "https://example.org/news/b"),)


@pytest.mark.parametrize("number", ["²", "٣", "9" * 5_000, "-1", "", "1.5"])
def test_numbers_in_a_page_that_are_none_are_passed_over(number: str) -> None:
    raw = f'<html><body><ol start="{number}"><li>one</li></ol><table><tr><td colspan="{number}">two</td></tr></table>'
    page = read(raw.encode(), whole=True)
    assert "1. one" in page.markdown
    assert "two" in page.markdown


@pytest.mark.parametrize(
    "raw",
    [
        b'<?xml version="1.0" encoding="undefined"?>' + RSS.partition(b"?>")[2],
        b'<?xml version="1.0" encoding="punycode"?>' + RSS.partition(b"?>")[2],
        RSS.replace(b"News", b"&#xD800;"),
        RSS.replace(b"News", b"&#99999999999999999999;<"),
        RSS.replace(b"https://example.org/", b"&#xD800;"),
        b'<feed xmlns="http://www.w3.org/2005/Atom"><title>&#xD800;</title><entry><id>&#xD800;</id></entry></feed>',
    ],
)
def test_a_feed_of_what_nobody_can_read_is_refused_or_can_be_sent(raw: bytes) -> None:
    with suppress(PageRefused):
        encode_body(feeds.read(raw, URL, "", 9))


def test_half_a_surrogate_pair_of_a_search_engine_becomes_a_question_mark() -> None:
    kind, address = engines.engine({"home": "searxng http://127.0.0.1/s"}, "home")
    raw = b'{"results": [{"url": "https://a.example/\\ud800", "title": "\\ud800", "content": "\\udfff x"}]}'
    (found,) = engines.parse_results(kind, address, raw)
    assert found == {"title": "?", "url": "https://a.example/?", "summary": "? x", "date": ""}


@pytest.mark.parametrize("content", ["0;url=/b.html", "5; URL='/b.html'", '0 ,url="../b.html"', "3;/b.html"])
def test_where_a_page_leads_by_itself_is_its_first_link(content: str) -> None:
    raw = f"""<head><meta http-equiv=Refresh content="{escape(content)}"></head><body>Redirecting <a href=/c>c</a>"""
    assert read(raw.encode()).links == ((markdown.ONWARD, "https://example.org/b.html"), ("c", "https://example.org/c"))


@pytest.mark.parametrize("content", ["30", "0;url=javascript:alert(1)", ""])
def test_a_page_that_is_only_loaded_again_leads_nowhere(content: str) -> None:
    assert read(f'<head><meta http-equiv=refresh content="{content}"></head><body>x'.encode()).links == ()
