"""Sizes as people write and read them."""

from __future__ import annotations

import pytest

from duckwarp.model.errors import UsageError
from duckwarp.model.sizes import parse_size, size_text


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("0", 0, id="nothing"),
        pytest.param("800000000", 800_000_000, id="bytes"),
        pytest.param("12B", 12, id="bytes with their unit"),
        pytest.param("1kB", 1_000, id="a kilobyte"),
        pytest.param("512MB", 512_000_000, id="megabytes"),
        pytest.param("512mb", 512_000_000, id="in lower case"),
        pytest.param("512M", 512_000_000, id="without the B"),
        pytest.param("1GB", 10**9, id="a gigabyte"),
        pytest.param("1.5g", 1_500_000_000, id="one and a half"),
        pytest.param("2TB", 2 * 10**12, id="terabytes"),
        pytest.param("1KiB", 1024, id="a kibibyte"),
        pytest.param("512MiB", 512 * 2**20, id="mebibytes"),
        pytest.param("1GiB", 2**30, id="a gibibyte"),
        pytest.param("1Gi", 2**30, id="as Kubernetes writes it"),
        pytest.param("0.5 GiB", 2**29, id="with a blank"),
        pytest.param("  1 GB  ", 10**9, id="with blanks around it"),
    ],
)
def test_a_size_is_read_in_every_usual_form(text: str, want: int) -> None:
    assert parse_size(text) == want


@pytest.mark.parametrize(
    "text",
    ["", " ", "MB", "much", "-1", "-1GB", "+1GB", "1,5GB", "1 000MB", "1e9", "1..5GB", ".5GB",
     "5.GB", "1PB", "1 G B", "1GBs", "0x10", "nan", "inf", "1GB 2MB", "50%"],
)  # fmt: skip
def test_what_is_no_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert str(caught.value) == f'"{text}" is no size: write 512MB, 1GB or 1GiB'


@pytest.mark.parametrize(
    ("size_bytes", "want"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (11_849, "11.8 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (320_000_000, "320 MB"),
        (319_999_999, "320 MB"),
        (999_500_000, "1.0 GB"),
        (1_300_000_000, "1.3 GB"),
        (12_345_000_000_000, "12,345 GB"),
    ],
)
def test_a_size_is_told_with_three_digits_at_most(size_bytes: int, want: str) -> None:
    assert size_text(size_bytes) == want


@pytest.mark.parametrize("size_bytes", [0, 1, 999, 1_000, 320_000_000, 10**9, 25 * 10**9])
def test_what_is_told_can_be_written(size_bytes: int) -> None:
    assert parse_size(size_text(size_bytes)) == size_bytes
