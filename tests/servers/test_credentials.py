from __future__ import annotations

import pytest

from servers.credentials import SealBroken, seal, unseal


def test_a_sealed_password_can_be_read_again() -> None:
    sealed = seal("pässword")

    assert unseal(sealed) == "pässword"
    assert "ssword" not in sealed


def test_the_same_password_never_looks_the_same() -> None:
    assert seal("sesame") != seal("sesame")


def test_no_password_stays_none() -> None:
    assert seal("") == ""
    assert unseal("") == ""


def test_another_secret_key_opens_nothing(settings) -> None:
    sealed = seal("sesame")
    settings.SECRET_KEY = "another key, long enough to be one"

    with pytest.raises(SealBroken):
        unseal(sealed)


def test_a_key_that_was_replaced_still_opens(settings) -> None:
    sealed = seal("sesame")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, long enough to be one"

    assert unseal(sealed) == "sesame"
