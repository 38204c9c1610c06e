import pytest

from engine.urls import hide_in_urls, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:8080/v1", "http://host:8080/v1"),
        ("sqlite:////data/parrotfish.db", "sqlite:////data/parrotfish.db"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("postgresql+asyncpg://user:s3cret@host:5432/name", "postgresql+asyncpg://***@host:5432/name"),
        ("redis://:s3cret@host:6379/0", "redis://***@host:6379/0"),
        ("https://s3cret@host/v1", "https://***@host/v1"),
        ("http://user:s3/cr@et@host", "http://***@host"),
        ("http://user:a://s3cret@host/", "http://***@host/"),
        ("postgresql:///name?host=/run&password=s3cret", "postgresql:///name?***"),
        ("https://user:x@host/v1?key=s3cret", "https://***@host/v1?***"),
        ("https://host/v1#s3cret", "https://host/v1?***"),
        ("https://host/v1?mail=me@example.com&key=s3cret", "https://***"),
        ("https://user:?s3cret@host", "https://***"),
        ("https://user:#s3cret@host", "https://***"),
        ("user:s3cret@host/v1", "***@host/v1"),
        ("http:/user:s3cret@host?key=s3cret", "***@host?***"),
        ("user:s3cret@host?next=http://there", "***@host?***"),
        ("turn:turn.example.net", "turn:turn.example.net"),
        ("", ""),
    ],
)
def test_no_part_of_a_url_that_may_be_secret_is_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_urls_in_a_text_are_shown_alike_and_the_rest_as_it_is() -> None:
    text = 'GET "https://user:s3cret@host/v1?key=s3cret" took 3 s? See <http://host/x> @ noon.'
    assert hide_in_urls(text) == 'GET "https://***@host/v1?***" took 3 s? See <http://host/x> @ noon.'
