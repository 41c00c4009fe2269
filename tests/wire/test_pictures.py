"""What a picture is: what its bytes begin with, and nothing else."""

import pytest

from wire.pictures import media

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"), (b"GIF87a", "image/gif"),
        (b"GIF88a", ""), (b"RIFF\n\n\n\nWEBPVP8 ", "image/webp"), (b"RIFF\0\0\0\0WAVE", ""), (b"RIFF\0\0\0WEBP", ""),
        (b"", ""), (PNG[:-1], ""), (b" " + PNG, ""),
    ],
)  # fmt: skip
def test_a_picture_is_known_by_how_its_bytes_begin(content: bytes, kind: str) -> None:
    assert media(content) == kind
