"""Small pictures for the Dagster pages: a line over sessions, as a PNG inside the metadata.

Events live in Dagster's database, so a picture stays below about 5 kB. Drawn with Pillow, which
starts thirty times faster than a plotting library and is enough for one line.
"""

import base64
import io
import math
from collections.abc import Sequence

import dagster as dg

WIDTH, HEIGHT, MARGIN = 560, 140, 12
_INK, _GRID, _PAPER = (32, 92, 160), (210, 214, 220), (255, 255, 255)


def line_picture(title: str, values: Sequence[float]) -> dg.MarkdownMetadataValue:
    """A line of `values` in order; what is not finite leaves a gap, and fewer than two say so."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return dg.MetadataValue.md(f"{title}: {len(known)} values, a line needs two")
    picture = base64.b64encode(_png(values, min(known), max(known))).decode()
    said = f"{title}: {known[0]:.6g} first, {known[-1]:.6g} last"
    return dg.MetadataValue.md(f"{said}\n\n![{title}](data:image/png;base64,{picture})")


def _png(values: Sequence[float], low: float, high: float) -> bytes:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    for share in (0.0, 0.5, 1.0):
        height = MARGIN + share * (HEIGHT - 2 * MARGIN)
        draw.line([(MARGIN, height), (WIDTH - MARGIN, height)], fill=_GRID)
    points: list[tuple[float, float]] = []
    for place, value in enumerate(values):
        if not math.isfinite(value):
            _stroke(draw, points)
            points = []
            continue
        points.append((_across(place, len(values)), _up(value, low, high)))
    _stroke(draw, points)
    draw.text((MARGIN, 0), f"{high:.6g}", fill=_INK)
    draw.text((MARGIN, HEIGHT - MARGIN), f"{low:.6g}", fill=_INK)
    out = io.BytesIO()
    image.quantize(16).save(out, format="PNG", optimize=True)
    return out.getvalue()


def _stroke(draw, points: list[tuple[float, float]]) -> None:  # type: ignore[no-untyped-def]
    if len(points) > 1:
        draw.line(points, fill=_INK, width=2)


def _across(place: int, count: int) -> float:
    return MARGIN + place / max(count - 1, 1) * (WIDTH - 2 * MARGIN)


def _up(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
