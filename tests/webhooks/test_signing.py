"""What we sign is what the official library verifies."""

import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from webhooks import signing

BODY = '{"type":"job.completed","ä":1}'.encode()


def headers(*secrets):
    return signing.headers(
        message_id="msg_1", timestamp=int(time.time()), body=BODY, secret_texts=secrets
    )


def test_the_official_library_accepts_it():
    secret = signing.new_secret()

    assert Webhook(secret).verify(BODY, headers(secret))["type"] == "job.completed"


def test_while_a_secret_is_changed_both_are_accepted():
    old, new = signing.new_secret(), signing.new_secret()

    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers(new, old))


@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_changed_header_is_noticed(part):
    secret = signing.new_secret()
    sent = headers(secret)
    changed = sent | {part: sent[part][:-3] + "123"}

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, changed)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (signing.new_secret(), True),
        ("whsec_" + "QUFB" * 8, True),
        ("whsec_" + "QUFB" * 7, False),
        ("whsec_" + "QUFB" * 22, False),
        ("QUFB" * 8, False),
        ("whsec_ä", False),
        ("", False),
    ],
)
def test_a_secret_has_24_to_64_bytes(text, is_one):
    assert signing.is_secret(text) is is_one
