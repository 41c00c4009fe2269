"""covers and includes, by properties: whatever the texts, a grant gives exactly what it says."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from manifests import capabilities as kinds
from manifests.capabilities.glob import fits, fits_all
from manifests.errors import PatternInvalid, ResourceInvalid

_LABEL = st.sampled_from(["a", "b", "example", "org", "xn--bcher-kva"])
_HOST = st.lists(_LABEL, min_size=1, max_size=3).map(".".join) | st.sampled_from(["127.0.0.1", "[::1]"])
_PORT = st.sampled_from(["", ":80", ":443", ":8443"])
_SEGMENT = st.sampled_from(["", "a", "b", "ab", "%2F", "a;b", "x.csv"])
_QUERY = st.sampled_from(["", "?", "?q=1", "?q=**", "?a=1&q=2"])
_URL_PATH = st.lists(_SEGMENT, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
URLS = st.builds("{}://{}{}{}{}".format, st.sampled_from(["http", "https"]), _HOST, _PORT, _URL_PATH, _QUERY)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "käse.csv", "x y"]), max_size=4).map(
    lambda parts: "/".join(["reports", *parts])
)
ADDRESSES = st.builds("{}:{}".format, _HOST, st.integers(1, 70))
NAMESPACES = st.sampled_from(
    ["own", "shared/a", "shared/ab", "session/a/b/ab/-", "session/bot/mail/-/%C3%A4", "session/a/a/a/a"]
)
MODELS = st.builds("{}/{}".format, st.sampled_from(["a", "reports"]), st.sampled_from(["a", "b:8b", "@a/b", "a/ab/b"]))
NAMES = st.sampled_from(["own", "a", "ab", "a.b", "data-pipeline.loaded"])


def _normal(kind: str, text: str) -> str:
    try:
        return kinds.normalise(kind, text)
    except ResourceInvalid:
        return ""


RESOURCES = st.one_of(
    URLS.map(lambda text: _normal("url", text)),
    PATHS.map(lambda text: _normal("path", text)),
    ADDRESSES.map(lambda text: _normal("address", text)),
    NAMES,
    NAMESPACES,
    MODELS,
)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """A resource in which some parts were replaced by wildcards; most of them are good patterns."""
    text = draw(st.sampled_from(["*", "**"]) | RESOURCES)
    for _ in range(draw(st.integers(0, 3))):
        old = draw(
            st.sampled_from(["a", "b", "example", "org", ":8443", "/a", "/b/", "q=1", "x.csv", "reports", ".org"])
        )
        new = draw(st.sampled_from(["*", "**", ":*", "/**", "/*/", "*.csv", "q=*"]))
        text = text.replace(old, new, 1)
    return text


PATTERNS = patterns().filter(kinds.is_pattern)
HOSTILE = st.text(max_size=1024) | st.text(alphabet="*/.:%?#@[]\\aA1-_\u0430\u202e\x00\ud800 ", max_size=40)


@given(RESOURCES)
def test_a_resource_is_a_pattern_that_covers_itself(resource: str) -> None:
    assume(resource and "*" not in resource)
    assert kinds.is_pattern(resource)
    assert kinds.covers(resource, resource)


@given(PATTERNS)
def test_includes_is_reflexive(pattern: str) -> None:
    assert kinds.includes(pattern, pattern)


@given(PATTERNS, PATTERNS, PATTERNS)
def test_includes_is_transitive(wide: str, middle: str, narrow: str) -> None:
    if kinds.includes(wide, middle) and kinds.includes(middle, narrow):
        assert kinds.includes(wide, narrow)


@given(PATTERNS, PATTERNS, RESOURCES)
def test_what_a_pattern_includes_it_covers(wide: str, narrow: str, resource: str) -> None:
    if kinds.includes(wide, narrow) and kinds.covers(narrow, resource):
        assert kinds.covers(wide, resource)


@given(st.sampled_from(sorted(kinds.KINDS)), HOSTILE)
def test_a_normal_form_is_its_own_normal_form_and_shows_its_kind(kind: str, text: str) -> None:
    try:
        normal = kinds.normalise(kind, text)
    except ResourceInvalid:
        return
    kinds._normal.clear()  # so that it is worked out anew, not remembered
    kinds.normalise.cache_clear()
    assert kinds.is_normal(normal)
    assert kinds.normalise(kind, normal) == normal
    also = {"path": ("name",), "namespace": ("name",), "model": ("name", "path")}
    assert kinds.kind_of(normal) in (kind, *also.get(kind, ()))


@given(st.sampled_from(["http://", "https://h.example/", "https://", "http://[", "reports/"]), HOSTILE)
def test_a_normal_form_of_something_nearly_good_is_its_own_normal_form(start: str, text: str) -> None:
    kind = "path" if start == "reports/" else "url"
    if normal := _normal(kind, start + text):
        assert kinds.normalise(kind, normal) == normal
        assert kinds.covers(normal if kind == "path" else normal.partition("?")[0], normal)


@given(HOSTILE, HOSTILE)
def test_any_texts_are_answered_and_what_is_not_in_normal_form_is_covered_by_nothing(
    pattern: str, resource: str
) -> None:
    covered = [kinds.covers(one, resource) for one in (pattern, "*", "**", "reports/**", "https://**/**")]
    kinds.includes(pattern, resource)
    kinds.includes(resource, pattern)
    if not kinds.is_normal(resource):
        assert not any(covered)


@given(PATTERNS.filter(lambda text: text not in kinds.ANYTHING), RESOURCES)
def test_a_pattern_of_one_kind_covers_nothing_of_another(pattern: str, resource: str) -> None:
    alike = {"name": "path"}
    mine, its = (alike.get(kind, kind) for kind in (kinds.kind_of(pattern), kinds.kind_of(resource)))
    if mine != its:
        assert not kinds.covers(pattern, resource)


@pytest.mark.parametrize(
    ("pattern", "covered", "others"),
    [
        ("reports/**", ["reports", "reports/a", "reports/a/b"], ["reports2", "other/reports/a"]),
        ("reports/*", ["reports/a"], ["reports", "reports/a/b"]),
        ("reports/*.csv", ["reports/a.csv", "reports/.csv"], ["reports/a.csvx", "reports/a/b.csv"]),
        ("reports/**/b", ["reports/b", "reports/a/b", "reports/a/c/b"], ["reports/b/a", "reports"]),
        ("*/a", ["reports/a", "scratch/a"], ["reports/b", "a"]),
        ("https://h.example/", ["https://h.example/", "https://h.example/?q"], ["https://h.example/a"]),
        ("https://h.example/**", ["https://h.example/", "https://h.example/a/b?x=1"], ["https://h.example:1/"]),
        ("https://h.example/a/**", ["https://h.example/a", "https://h.example/a/"], ["https://h.example/ab"]),
        ("https://h.example:*/", ["https://h.example/", "https://h.example:1/"], ["http://h.example/"]),
        ("https://h.example/s?q=*", ["https://h.example/s?q=", "https://h.example/s?q=a&b"], ["https://h.example/s"]),
        ("https://*.org/**", ["https://a.org/"], ["https://org/", "https://a.b.org/"]),
        ("https://**.org/**", ["https://a.org/", "https://a.b.org/"], ["https://org/", "https://borg/"]),
        ("https://api-*.a.org/", ["https://api-1.a.org/", "https://api-x2.a.org/"], ["https://api-1.b.a.org/"]),
        ("https://**/**", ["https://localhost/", "https://a.b/c"], ["https://10.0.0.1/", "https://[::1]/"]),
        ("https://10.0.0.1/**", ["https://10.0.0.1/a"], ["https://10.0.0.10/", "https://110.0.0.1/"]),
        ("**.a.org:443", ["x.a.org:443", "y.x.a.org:443"], ["a.org:443", "x.a.org:80"]),
        ("[::1]:*", ["[::1]:1"], ["127.0.0.1:1"]),
        ("data-pipeline.*", ["data-pipeline.loaded", "data-pipeline.a.b"], ["data-pipeline", "own"]),
        ("own", ["own"], ["shared/own", "own/h-4kz8w1m3q0v7x2ab", "session/own/a/b/c"]),
        ("shared/*", ["shared/a", "shared/a-b"], ["own", "session/shared/a/b/c"]),
        ("shared/team-*", ["shared/team-a"], ["shared/team", "shared/a"]),
        ("session/**", ["session/a/b/c/d"], ["own", "own/operator/session/a/b/c/d", "shared/session"]),
        ("session/bot/**", ["session/bot/b/c/d"], ["session/bots/b/c/d"]),
        ("session/*/mail/*/ada", ["session/a/mail/-/ada"], ["session/a/mail/-/bob", "session/a/sms/-/ada"]),
        ("anthropic/*", ["anthropic/claude-4", "anthropic/a:b"], ["anthropic", "anthropic/a/b", "anthropic-x/a"]),
        ("openrouter/**", ["openrouter/a/b", "openrouter/a"], ["openrouters/a"]),
        ("openrouter/*/llama*", ["openrouter/meta/llama-3"], ["openrouter/llama", "openrouter/meta/x/llama"]),
        ("*", ["", "own", "reports/a", "https://10.0.0.1/", "[::1]:22", "shared/a"], ["own/operator"]),
    ],
)
def test_wildcards_mean_what_the_manual_says(pattern: str, covered: list[str], others: list[str]) -> None:
    kinds.check_pattern(pattern)
    assert [one for one in covered if kinds.covers(pattern, one)] == covered
    assert [one for one in others if kinds.covers(pattern, one)] == []
    assert all(kinds.is_normal(one) for one in (*covered, *others))


@pytest.mark.parametrize(
    ("path", "becomes"),
    [
        ("/a/b/../c", "/a/c"), ("/a/b/c/../../d", "/a/d"), ("/a/b/c/./../../g", "/a/g"), ("/a/./b/.", "/a/b/"),
        ("/a/b/..", "/a/"), ("/../a", "/a"), ("/a/../../../b", "/b"), ("/a/b/../..", "/"), ("/a//../b", "/a/b"),
        ("/a/%2e%2E/b", "/b"), ("/a/..b/c", "/a/..b/c"),
    ],
)  # fmt: skip
def test_the_dots_of_a_urls_path_take_away_one_part_each_as_in_rfc_3986(path: str, becomes: str) -> None:
    assert kinds.normalise("url", f"https://h.example{path}") == f"https://h.example{becomes}"


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("reports/a/**", "reports/**"),
        ("reports/*", "reports/**"),
        ("reports/*.csv", "reports/*"),
        ("https://*.org/**", "https://**.org/**"),
        ("https://a.org/**", "https://a.org:*/**"),
        ("https://a.org/?q=1", "https://a.org/"),
        ("https://**/**", "https://10.0.0.1/**"),
        ("https://**/**", "*"),
        ("own", "*"),
        ("*:443", "a.org:443"),
    ],
)
def test_a_pattern_does_not_include_a_wider_one(wide: str, narrow: str) -> None:
    assert not kinds.includes(wide, narrow)


@pytest.mark.parametrize(
    ("kind", "pattern"), [("url", "reports/**"), ("path", "https://a.org/"), ("none", "own"), ("name", "a/b")]
)
def test_a_pattern_of_the_wrong_kind_is_refused_when_the_kind_is_known(kind: str, pattern: str) -> None:
    kinds.check_pattern(pattern)
    with pytest.raises(PatternInvalid):
        kinds.check_pattern(pattern, kind)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("https://example.*/**", 'the last part of "example.*" could be a number'),
        ("a.1*:443", 'the last part of "a.1*" could be a number'),
        ("https://10.0.0.*/", '"10.0.0.*" is a range of IP addresses'),
        ("*.*:*", '"*.*" is a range of IP addresses'),
        ("https://example.1/", "its host ends in a number but is not an IPv4 address"),
    ],
)
def test_no_wildcard_could_stand_for_an_address(pattern: str, why: str) -> None:
    with pytest.raises(PatternInvalid, match=re.escape(why)):
        kinds.check_pattern(pattern)
    kinds.check_pattern("https://example.c*/")


@pytest.mark.parametrize("kind", sorted(kinds.KINDS))
def test_every_kind_shows_examples_that_are_good(kind: str) -> None:
    for example in kinds.KINDS[kind].EXAMPLES:
        kinds.check_pattern(example, kind)
        assert kinds.includes(example, example)


@pytest.mark.parametrize(
    ("pattern", "resource"),
    [
        ("reports/a**", "reports/ab"),
        ("reports/**/**", "reports/a"),
        ("https://a.example", "https://a.example/"),
        ("https://A.example/**", "https://a.example/"),
        ("a**", "ab"),
        ("a.**.example:443", "a.b.example:443"),
    ],
)
def test_a_malformed_pattern_covers_nothing(pattern: str, resource: str) -> None:
    assert kinds.is_normal(resource)
    assert not kinds.covers(pattern, resource)
    assert not kinds.includes("*", pattern)


def test_what_is_remembered_of_resources_stays_bounded() -> None:
    for number in range(3 * kinds.MOST_REMEMBERED):
        assert kinds.covers("reports/**", f"reports/{number}")
        assert not kinds.covers("reports/**", f"reports//{number}")
    assert len(kinds._normal) <= kinds.MOST_REMEMBERED


def test_the_ends_of_a_pattern_do_not_share_a_character() -> None:
    assert not fits("aba*ba", "aba")
    assert fits("aba*ba", "ababa")


def test_a_hostile_resource_cannot_make_a_match_slow() -> None:
    assert not fits("*a" * 100 + "b", "a" * 1024)
    assert not fits_all(("**", "a") * 100 + ("b",), ("a",) * 512)


@given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_a_star_is_any_run_of_characters(pattern: str, text: str) -> None:
    import re

    assert fits(pattern, text) == bool(re.fullmatch(pattern.replace("*", ".*"), text))


@given(st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=5), st.lists(st.sampled_from("ab"), max_size=6))
def test_two_stars_are_any_number_of_segments(pattern: list[str], segments: list[str]) -> None:
    def slow(p: list[str], s: list[str]) -> bool:
        if not p:
            return not s
        if p[0] == "**":
            return slow(p[1:], s) or (bool(s) and slow(p, s[1:]))
        return bool(s) and p[0] in ("*", s[0]) and slow(p[1:], s[1:])

    assert fits_all(tuple(pattern), tuple(segments)) == slow(pattern, segments)
