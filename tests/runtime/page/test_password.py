"""The password's hash gives nobody the password, and the settings refuse what is none."""

from __future__ import annotations

import pytest

from edgetl.errors import UsageError
from edgetl.runtime.page.password import hashed, is_hash, matches
from edgetl.runtime.page.settings import PageSettings, with_address


def test_only_the_password_matches_its_hash() -> None:
    hash = hashed("müller's lathe 7")
    assert is_hash(hash) and "lathe" not in hash
    assert matches("müller's lathe 7", hash)
    assert not matches("müller's lathe 8", hash)
    assert hashed("müller's lathe 7") != hash


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "scrypt$16384$8$5$AAAA",
        "scrypt$16385$8$5$MTIzNDU2Nzg5MDEyMzQ1Ng==$" + "A" * 43 + "=",
        "scrypt$1073741824$8$1$MTIzNDU2Nzg5MDEyMzQ1Ng==$" + "A" * 43 + "=",
        "scrypt$16384$8$5$MTIzNDU2Nzg5MDEyMzQ1Ng==$?",
        "bcrypt$16384$8$5$MTIzNDU2Nzg5MDEyMzQ1Ng==$" + "A" * 43 + "=",
    ],
)
def test_what_is_no_hash_or_a_costly_one_is_refused(text: str) -> None:
    assert not is_hash(text)
    with pytest.raises(UsageError, match="page-password"):
        PageSettings(password=text)


def test_others_reach_the_page_only_with_a_password() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        assert PageSettings(host=host).password is None
    for host in ("0.0.0.0", "192.168.1.7", "::", "cell4.local"):
        with pytest.raises(UsageError, match=r"no page\.password"):
            PageSettings(host=host)
        assert PageSettings(host=host, password=hashed("long enough")).host == host


def test_certificate_needs_its_key() -> None:
    with pytest.raises(UsageError, match="go together"):
        PageSettings(tls_certificate="cert.pem")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8081", "127.0.0.1", 8081),
        ("localhost", "localhost", 8080),
        ("[::1]:9000", "::1", 9000),
        (":9", "127.0.0.1", 9),
    ],
)
def test_address_from_the_command_line(text: str, host: str, port: int) -> None:
    settings = with_address(PageSettings(), text)
    assert (settings.host, settings.port) == (host, port)


@pytest.mark.parametrize("text", ["localhost:http", "127.0.0.1:70000", "0.0.0.0:80"])
def test_address_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        with_address(PageSettings(), text)
