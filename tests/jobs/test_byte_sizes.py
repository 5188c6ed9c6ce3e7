"""Numbers of bytes, as people write them."""

import pytest

from jobs import byte_sizes


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("1GiB", 1024**3), ("1.5 gb", 1_500_000_000), ("500MiB", 500 * 1024**2), ("7b", 7)],
)
def test_what_people_write_is_read(text, count):
    assert byte_sizes.parse(text) == count


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "1 elephant", "1e9", "9" * 20])
def test_what_is_no_number_of_bytes_is_refused(text):
    with pytest.raises(ValueError, match="no number of bytes"):
        byte_sizes.parse(text)


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (1536, "1.5 KiB"), (3 * 1024**4, "3.0 TiB")]
)
def test_a_number_is_said_in_the_fitting_unit(count, words):
    assert byte_sizes.in_words(count) == words
