"""About a hundred disguises of a resource: what each becomes, and whether a grant covers it.

One table for the pure check (tests/manifests) and for the real call over the bus; it imports nothing, so that both can.
becomes: the normal form, or "" when the resource must be refused whatever is granted; why: part of the refusal's text.
"""

from typing import NamedTuple


class Disguise(NamedTuple):
    """One resource as an attacker, or a careless author, writes it."""

    kind: str
    granted: str
    written: str
    covered: bool
    becomes: str = ""
    why: str = ""


_ORG = "https://example.org/**"
_SUB = "https://*.example.org/**"
_PUB = "https://example.org/public/**"
_V4 = "http://127.0.0.1/**"
_EVIL = "https://evil.example/"


def _refused(kind: str, granted: str, written: str, why: str) -> Disguise:
    return Disguise(kind, granted, written, covered=False, why=why)


def _other(kind: str, granted: str, written: str, becomes: str) -> Disguise:
    """Well formed, but another resource than the granted one."""
    return Disguise(kind, granted, written, covered=False, becomes=becomes)


def _same(kind: str, granted: str, written: str, becomes: str) -> Disguise:
    """Another spelling of a granted resource: the provider gets the normal form."""
    return Disguise(kind, granted, written, covered=True, becomes=becomes)


_USERINFO = (
    _refused("url", _ORG, "https://example.org@evil.example/", "before an @"),
    _refused("url", _ORG, "https://example.org:443@evil.example/", "before an @"),
    _refused("url", _ORG, "https://user:secret@example.org/", "before an @"),
    _refused("url", _ORG, "https://@example.org/", "before an @"),
    _refused("url", _ORG, "https://example.org%40evil.example/", "percent-escape"),
    _refused("url", _ORG, "https://evil.example\\@example.org/", "backslash"),
)
_PORTS = (
    _same("url", _ORG, "https://example.org:443/a", "https://example.org/a"),
    _same("url", _ORG, "https://example.org:/a", "https://example.org/a"),
    _same("url", _ORG, "https://example.org:00443/a", "https://example.org/a"),
    _other("url", _ORG, "https://example.org:8443/a", "https://example.org:8443/a"),
    _other("url", _ORG, "https://example.org:80/a", "https://example.org:80/a"),
    _refused("url", _ORG, "https://example.org:0/a", "port"),
    _refused("url", _ORG, "https://example.org:65979/a", "port"),
    _refused("url", _ORG, "https://example.org:+443/a", "port"),
    _refused("url", _ORG, "https://example.org:443:80/a", "more than one colon"),
    _refused("url", _ORG, "https://example.org:٤٤٣/a", "port"),
)
_SCHEMES = (
    _other("url", _ORG, "http://example.org/a", "http://example.org/a"),
    _same("url", _ORG, "HTTPS://EXAMPLE.ORG/A", "https://example.org/A"),
    _refused("url", _ORG, "ftp://example.org/a", "http"),
    _refused("url", _ORG, "file:///etc/passwd", "http"),
    _refused("url", _ORG, "javascript://example.org/%0aalert(1)", "http"),
    _refused("url", _ORG, "//example.org/a", "http"),
    _refused("url", _ORG, "https:example.org/a", "http"),
    _refused("url", _ORG, "https:/example.org/a", "http"),
    _refused("url", _ORG, "https:\\\\example.org/a", "http"),
    _refused("url", _ORG, "https:///example.org/a", "no host"),
    _refused("url", _ORG, "view-source:https://example.org/", "http"),
    _refused("url", _ORG, "", "http"),
)
_HOSTS = (
    _other("url", _SUB, "https://example.org/", "https://example.org/"),
    _other("url", _SUB, "https://a.b.example.org/", "https://a.b.example.org/"),
    _other("url", _SUB, "https://example.org.evil.example/", "https://example.org.evil.example/"),
    _other("url", _SUB, "https://notexample.org/", "https://notexample.org/"),
    _other("url", _SUB, "https://evil-example.org/", "https://evil-example.org/"),
    _refused("url", _SUB, "https://.example.org/", "empty part"),
    _refused("url", _SUB, "https://a..example.org/", "empty part"),
    _refused("url", _SUB, "https://*.example.org/", "cannot be a part"),
    _same("url", _SUB, "https://A.Example.ORG./", "https://a.example.org/"),
    _refused("url", _SUB, "https://a.example.org../", "empty part"),
    _refused("url", _SUB, "https://a.example.org%2e/", "percent-escape"),
    _refused("url", _SUB, "https://a%2eexample.org/", "percent-escape"),
    _refused("url", _SUB, "https://-a.example.org/", "cannot be a part"),
    _refused("url", _SUB, "https://evil.example\\.example.org/", "backslash"),
    _other("url", _SUB, "https://evil.example/.example.org/", "https://evil.example/.example.org/"),
    _other("url", _SUB, "https://evil.example?.example.org/", "https://evil.example/?.example.org/"),
    _other("url", _SUB, "https://evil.example#.example.org/", _EVIL),
    _other("url", _ORG, "https://evil.example#@example.org/", _EVIL),
    _refused("url", _SUB, "https://evil.example;.example.org/", "cannot be a part"),
)
_LOOKALIKES = (
    _other("url", _ORG, "https://ex\u0430mple.org/", "https://xn--exmple-4nf.org/"),
    _other("url", _ORG, "https://\u0435xample.org/", "https://xn--xample-2of.org/"),
    _same("url", _ORG, "https://ｅｘａｍｐｌｅ.org/", "https://example.org/"),
    _same("url", _ORG, "https://example。org/", "https://example.org/"),
    _same("url", _ORG, "https://exampl\u212f.org/", "https://example.org/"),
    _other("url", _ORG, "https://examp1e.org/", "https://examp1e.org/"),
    _other("url", "https://xn--fa-hia.example/**", "https://fass.example/", "https://fass.example/"),
    _same("url", "https://xn--bcher-kva.example/**", "https://BÜCHER.example/", "https://xn--bcher-kva.example/"),
    _refused("url", _ORG, "https://xn--example-.org/", "cannot be a part"),
    _refused("url", _ORG, "https://xn--example-9999999.org/", "punycode"),
    _refused("url", _ORG, "https://exa\u00admple.org/", "invisible"),
    _refused("url", _ORG, "https://example.org\u2044a/", "IDNA"),
    _refused("url", _ORG, "https://example.org\u200b/", "invisible"),
    _refused("url", _ORG, "https://\u202egro.elpmaxe/", "bidirectional"),
    _refused("path", "reports/**", "reports\u2215secret", "root"),
    _refused("path", "reports/**", "r\u0435ports/a.csv", "root"),
    _other("path", "reports/total.csv", "reports/t\u043etal.csv", "reports/t\u043etal.csv"),
    _refused("name", "monitoring", "m\u043enitoring", "a name"),
)
_ADDRESSES = (
    _same("url", _V4, "http://127.0.0.1/", "http://127.0.0.1/"),
    _same("url", _V4, "http://2130706433/", "http://127.0.0.1/"),
    _same("url", _V4, "http://0x7f000001/", "http://127.0.0.1/"),
    _same("url", _V4, "http://0x7F.0.0.0x1/", "http://127.0.0.1/"),
    _same("url", _V4, "http://0177.0.0.01/", "http://127.0.0.1/"),
    _same("url", _V4, "http://017700000001/", "http://127.0.0.1/"),
    _same("url", _V4, "http://127.1/", "http://127.0.0.1/"),
    _same("url", _V4, "http://127.0.1/", "http://127.0.0.1/"),
    _same("url", _V4, "http://127.0.0.1./", "http://127.0.0.1/"),
    _same("url", _V4, "http://１２７.0.0.1/", "http://127.0.0.1/"),
    _same("url", _V4, "http://[::ffff:127.0.0.1]/", "http://127.0.0.1/"),
    _same("url", _V4, "http://[::FFFF:7F00:1]/", "http://127.0.0.1/"),
    _other("url", _V4, "http://[::1]/", "http://[::1]/"),
    _other("url", _V4, "http://[0:0:0:0:0:0:0:0001]/", "http://[::1]/"),
    _same("url", "http://[2001:db8::1]/**", "http://[2001:0DB8:0:0:0:0:0:1]:80/", "http://[2001:db8::1]/"),
    _refused("url", _V4, "http://[fe80::1%25eth0]/", "zone"),
    _refused("url", _V4, "http://[fe80::1%eth0]/", "zone"),
    _refused("url", _V4, "http://[::1/", "bracket"),
    _refused("url", _V4, "http://[127.0.0.1]/", "IPv6"),
    _refused("url", _V4, "http://[::1]evil.example/", "between its host and its port"),
    _refused("url", _V4, "http://::1/", "colon"),
    _refused("url", _V4, "http://256.0.0.1/", "too large"),
    _refused("url", _V4, "http://127.0.0.08/", "not an IPv4"),
    _refused("url", _V4, "http://127.0.0.0.1/", "not an IPv4"),
    _refused("url", _V4, "http://4294967296/", "too large"),
    _refused("url", _V4, "http://evil.example.1/", "not an IPv4"),
    _other("url", "http://**/**", "http://169.254.169.254/", "http://169.254.169.254/"),
    _other("url", "http://**/**", "http://0xa9fea9fe/", "http://169.254.169.254/"),
    _other("url", "http://**/**", "http://[fd00:ec2::254]/", "http://[fd00:ec2::254]/"),
    _same("url", "*", "http://169.254.169.254/", "http://169.254.169.254/"),
    _other("address", "**:*", "0x7f.1:22", "127.0.0.1:22"),
    _same("address", "127.0.0.1:22", "[::ffff:7f00:1]:022", "127.0.0.1:22"),
    _same("address", "feeds.example.org:443", "Feeds.Example.Org.:443", "feeds.example.org:443"),
    _other("address", "feeds.example.org:443", "feeds.example.org:80", "feeds.example.org:80"),
    _refused("address", "feeds.example.org:443", "feeds.example.org", "no port"),
    _refused("address", "feeds.example.org:443", "evil.example:80@feeds.example.org:443", "host:port"),
    _refused("address", "feeds.example.org:443", "feeds.example.org:443/x", "host:port"),
    _refused("address", "*", "::1:443", "colon"),
)
_URL_PATHS = (
    _other("url", _PUB, "https://example.org/public/../secret", "https://example.org/secret"),
    _other("url", _PUB, "https://example.org/public/%2e%2e/secret", "https://example.org/secret"),
    _other("url", _PUB, "https://example.org/public/.%2E/secret", "https://example.org/secret"),
    _other("url", _PUB, "https://example.org/public/./../secret", "https://example.org/secret"),
    _refused("url", _PUB, "https://example.org/public/..%2fsecret", "hides"),
    _refused("url", _PUB, "https://example.org/public/%2e%2e%2fsecret", "hides"),
    _refused("url", _PUB, "https://example.org/public/..;/secret", "hides"),
    _refused("url", _PUB, "https://example.org/public/%252e%252e/secret", "doubly"),
    _refused("url", _PUB, "https://example.org/public/..%252fsecret", "doubly"),
    _refused("url", _PUB, "https://example.org/public/%c0%ae%c0%ae/secret", "overlong"),
    _refused("url", _PUB, "https://example.org/public/..\\secret", "backslash"),
    _refused("url", _PUB, "https://example.org/public/..%5csecret", "backslash"),
    _refused("url", _PUB, "https://example.org/public/a%00.html", "control"),
    _refused("url", _PUB, "https://example.org/public/a%0d%0aHost:%20evil", "control"),
    _refused("url", _PUB, "https://example.org/public/a\r\nHost: evil", "control"),
    _refused("url", _PUB, "https://example.org/public/a\tb", "control"),
    _refused("url", _PUB, "https://example.org/public/a?q=\x00", "control"),
    _refused("url", _PUB, " https://example.org/public/a", "space"),
    _refused("url", _PUB, "https://example.org/public/a b", "space"),
    _refused("url", _PUB, "https://example.org/public/%zz", "not an escape"),
    _refused("url", _PUB, "https://example.org/public/%", "not an escape"),
    _other("url", _PUB, "https://example.org/Public/a", "https://example.org/Public/a"),
    _other("url", _PUB, "https://example.org/public%2Fa", "https://example.org/public%2Fa"),
    _other("url", _PUB, "https://example.org/publicity", "https://example.org/publicity"),
    _other("url", _PUB, "https://example.org//public/a", "https://example.org//public/a"),
    _other("url", "https://example.org/a/*", "https://example.org/a/b/c", "https://example.org/a/b/c"),
    _same("url", "https://example.org/a/*", "https://example.org/a/b%2fc", "https://example.org/a/b%2Fc"),
    _same("url", _PUB, "https://example.org/%70ublic/%61?x=%2e%2e#y", "https://example.org/public/a?x=%2e%2e"),
    _same("url", _PUB, "https://example.org/x/../public/ä", "https://example.org/public/%C3%A4"),
    _other("url", "https://example.org/s?q=*", "https://example.org/s?x=1&q=2", "https://example.org/s?x=1&q=2"),
    _refused("url", _PUB, "https://example.org/public/" + "a" * 1024, "longer than 1 KiB"),
    _refused("url", _PUB, "https://example.org/public/" + "ä" * 300, "longer than 1 KiB"),
)
_FILE_PATHS = (
    _refused("path", "reports/**", "reports/../secret", '".."'),
    _refused("path", "reports/**", "reports/..", '".."'),
    _refused("path", "reports/**", "../reports/a", '".."'),
    _refused("path", "reports/**", "reports/./a", '"."'),
    _refused("path", "reports/**", "/reports/a", "absolute"),
    _refused("path", "reports/**", "/etc/passwd", "absolute"),
    _refused("path", "reports/**", "reports//a", "doubled slash"),
    _refused("path", "reports/**", "reports/a//", "doubled slash"),
    _refused("path", "reports/**", "reports\\..\\secret", "backslash"),
    _refused("path", "reports/**", "reports/a\x00.csv", "control"),
    _refused("path", "reports/**", "reports/a\nb", "control"),
    _refused("path", "reports/**", "reports/a\u202ecsv.exe", "bidirectional"),
    _refused("path", "reports/**", "reports/a\u200b", "invisible"),
    _refused("path", "reports/**", "reports/a\ufe0f", "invisible"),
    _refused("path", "reports/**", "reports/\udcff", "surrogate"),
    _refused("path", "reports/**", "reports/a\u0301", "NFC"),
    _refused("path", "reports/**", "reports/\u00a0", "space"),
    _refused("path", "reports/**", "reports/a ", "space"),
    _refused("path", "reports/**", "reports/*", "only a grant"),
    _refused("path", "reports/**", "~/reports/a", "root"),
    _refused("path", "reports/**", "Reports/a", "root"),
    _refused("path", "reports/**", "", "empty"),
    _refused("path", "reports/**", "/", "absolute"),
    _refused("path", "reports/**", "reports/" + "a" * 256, "255"),
    _refused("path", "reports/**", "reports" + "/abcdefg" * 128, "1 KiB"),
    _other("path", "reports/**", "reports-old/a", "reports-old/a"),
    _other("path", "reports/*.csv", "reports/a/b.csv", "reports/a/b.csv"),
    _other("path", "reports/*.csv", "reports/a.CSV", "reports/a.CSV"),
    _other("path", "reports/*.csv", "reports/a.csv.exe", "reports/a.csv.exe"),
    _other("path", "reports/a", "reports/%61", "reports/%61"),
    _refused("path", "reports/**", "file:", "root"),
    _same("path", "reports/**", "reports/", "reports"),
    _same("path", "reports/**", "reports/2026/käse.csv", "reports/2026/käse.csv"),
)
_NAMES = (
    _refused("name", "*", "", "a name"),
    _refused("name", "*", "a/b", "a name"),
    _refused("name", "*", "a:b", "a name"),
    _refused("name", "*", "*", "a name"),
    _refused("name", "*", "..", "a name"),
    _refused("name", "own", "own\n", "a name"),
    _other("name", "own", "Own", "Own"),
    _other("name", "own", "owner", "owner"),
    _refused("none", "*", "anything", "no resource"),
    _same("none", "*", "", ""),
)
_KEY = "session/bot/mail/-/ada"
_NAMESPACES = (
    _same("namespace", "shared/*", "shared/team-1", "shared/team-1"),
    _same("namespace", "session/**", _KEY, _KEY),
    _same("namespace", "session/bot/*/-/ada", "session/bot/mail/-/%61d%61", _KEY),
    _same("namespace", "session/**", "session/bot/matrix/%21r%3ax/%40%c3%a4", "session/bot/matrix/%21r%3Ax/@%C3%A4"),
    _other("namespace", "own", "shared/own", "shared/own"),
    _other("namespace", "own", "own/h-4kz8w1m3q0v7x2ab", "own/h-4kz8w1m3q0v7x2ab"),
    _other("namespace", "*", "own/operator", "own/operator"),
    _other("namespace", "**", f"own/h-4kz8w1m3q0v7x2ab/{_KEY}", f"own/h-4kz8w1m3q0v7x2ab/{_KEY}"),
    _other("namespace", "session/**", f"own/operator/{_KEY}", f"own/operator/{_KEY}"),
    _other("namespace", "session/bot/*/-/ada", "session/bot/mail/chat/ada", "session/bot/mail/chat/ada"),
    _other("namespace", "session/bot/*/-/ada", "session/bot/mail%2F-/-/bob", "session/bot/mail%2F-/-/bob"),
    _other("namespace", "shared/team", "shared/team-2", "shared/team-2"),
    _other("namespace", "session/bot/**", "session/Bot/mail/-/ada", "session/Bot/mail/-/ada"),
    _refused("namespace", "own", "own/", "by its id"),
    _refused("namespace", "own", "Own", "a namespace is"),
    _refused("namespace", "own", "./own", "a namespace is"),
    _refused("namespace", "*", "", "a namespace is"),
    _refused("namespace", "*", "own/memory", "by its id"),
    _refused("namespace", "*", "own/h-4KZ8W1M3Q0V7X2AB", "by its id"),
    _refused("namespace", "*", "own/h-4kz8w1m3q0v7x2ab/shared/a", "a namespace is"),
    _refused("namespace", "shared/*", "shared/", "shared space's name"),
    _refused("namespace", "shared/*", "shared/Team", "shared space's name"),
    _refused("namespace", "shared/*", "shared/te%61m", "shared space's name"),
    _refused("namespace", "shared/*", "shared/t\u0435am", "shared space's name"),
    _refused("namespace", "shared/*", "shared/team/../own", "a namespace is"),
    _refused("namespace", "shared/*", "shared/*", "shared space's name"),
    _refused("namespace", "session/**", "session/bot/mail/ada", "four parts"),
    _refused("namespace", "session/**", "session/bot/mail//ada", "a part of its key"),
    _refused("namespace", "session/**", "session/bot/mail/../ada", "nothing but dots"),
    _refused("namespace", "session/**", "session/bot/mail/%2e%2E/ada", "nothing but dots"),
    _refused("namespace", "session/**", "session/bot/mail/-/ada%00", "control character"),
    _refused("namespace", "session/**", "session/bot/mail/-/ada%E2%80%AE", "bidirectional"),
    _refused("namespace", "session/**", "session/bot/mail/-/ad%C3", "not UTF-8"),
    _refused("namespace", "session/**", "session/bot/mail/-/a%CC%88da", "composed form"),
    _refused("namespace", "session/**", "session/bot/mail/-/ad\u00e4", "escapes such as"),
    _refused("namespace", "session/**", "session/bot/mail/-/*", "escapes such as"),
    _refused("namespace", "session/**", "session/bot/mail/-/%6", "escapes such as"),
    _refused("namespace", "session/**", "session/bot/mail/-/" + "a" * 129, "longer than 128"),
    _refused("path", "*", "shared/a.csv", "a space of memories"),
    _refused("path", "*", "own", "a space of memories"),
)
_MODELS = (
    _same("model", "default", "default", "default"),
    _same("model", "anthropic/*", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    _same("model", "ollama/llama3:*", "ollama/llama3:8b", "ollama/llama3:8b"),
    _same("model", "openrouter/**", "openrouter/meta-llama/Llama-3-70B", "openrouter/meta-llama/Llama-3-70B"),
    _same("model", "cloudflare/@cf/**", "cloudflare/@cf/meta/llama", "cloudflare/@cf/meta/llama"),
    _other("model", "anthropic/*", "anthropic", "anthropic"),
    _other("model", "anthropic/*", "anthropic/a/b", "anthropic/a/b"),
    _other("model", "anthropic/*", "anthropic-2/a", "anthropic-2/a"),
    _other("model", "anthropic/claude", "anthropic/Claude", "anthropic/Claude"),
    _other("model", "default", "default/a", "default/a"),
    _other("model", "anthropic/**", "openrouter/anthropic/claude", "openrouter/anthropic/claude"),
    _refused("model", "*", "", "a model is"),
    _refused("model", "*", "*", "a model is"),
    _refused("model", "*", "Default", "a model is"),
    _refused("model", "*", "d\u0435fault", "a model is"),
    _refused("model", "*", "llama3:8b", "a model is"),
    _refused("model", "*", "/claude", "a model is"),
    _refused("model", "*", "a" * 65, "a model is"),
    _refused("model", "*", "https://anthropic.example/claude", "a model is"),
    _refused("model", "anthropic/*", "anthropic/", "a part of its model's name"),
    _refused("model", "anthropic/**", "anthropic//claude", "a part of its model's name"),
    _refused("model", "anthropic/*", "anthropic/*", "a part of its model's name"),
    _refused("model", "anthropic/**", "anthropic/../openai/gpt", "a part of its model's name"),
    _refused("model", "*", "anthropic/cl%61ude", "a part of its model's name"),
    _refused("model", "*", "anthropic/claude\n", "a part of its model's name"),
    _refused("model", "*", "anthropic/cl\u0430ude", "a part of its model's name"),
    _refused("model", "anthropic/*", "anthropic\\claude", "a model is"),
    _refused("model", "*", "own/operator", "a space of memories"),
    _refused("model", "anthropic/*", "anthropic/" + "a" * 256, "longer than 256"),
)

DISGUISES: tuple[Disguise, ...] = (
    *_USERINFO,
    *_PORTS,
    *_SCHEMES,
    *_HOSTS,
    *_LOOKALIKES,
    *_ADDRESSES,
    *_URL_PATHS,
    *_FILE_PATHS,
    *_NAMES,
    *_NAMESPACES,
    *_MODELS,
)
