"""Pictures in the metadata are small, honest about gaps, and really pictures."""

import base64
import io
import math

from assets.pictures import HEIGHT, WIDTH, line_picture


def test_a_line_is_a_png_of_a_few_kilobytes():
    """A year of values fits into an event; first and last are said in words."""
    said = line_picture("equity", [100 + math.sin(i / 9) for i in range(250)]).value
    head, _, data = said.partition("base64,")
    assert head.startswith("equity: 100 first, ")
    assert len(said) < 8_000
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(data.rstrip(")"))))
    assert picture.size == (WIDTH, HEIGHT)
    assert len(picture.getcolors()) > 2


def test_a_line_needs_two_values():
    """One night has no curve, and says so; a gap is no value."""
    assert line_picture("score", [1.0, math.nan]).value == "score: 1 values, a line needs two"
