"""Charts: well-formed, honest about spikes and gaps, readable without color or sight."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.charts.axes import nice_step, scale
from brightrun.charts.bars import Pair, bar_pairs
from brightrun.charts.curves import Point, smooth, thin
from brightrun.charts.lines import Mark, Series, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def draw(*series: Series, chart_id: str = "loss", width: int = 720, marks: tuple[Mark, ...] = ()) -> ET.Element:
    text = line_chart(
        series,
        chart_id=chart_id,
        title="Loss & <title>",
        description="What it shows",
        x_label="Step",
        y_label="Loss",
        marks=marks,
        width=width,
    )
    assert "NaN" not in text
    assert "nan" not in text.lower().replace("finance", "")
    return ET.fromstring(text)  # noqa: S314 - our own text


def curve_heights(root: ET.Element) -> list[float]:
    """The y of every point of the drawing's first curve."""
    curves = [path for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    return [float(y) for _, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", curves[0].get("d", ""))]


def test_thinning_keeps_ends_spikes_dips_and_gaps() -> None:
    points: list[Point] = [(step, 2.0 + (step % 7) / 100) for step in range(10_000)]
    points[6_543] = (6_543, 50.0)
    points[1_234] = (1_234, 0.1)
    points[4_000] = (4_000, None)
    thinned = thin(points, 600)
    assert len(thinned) <= 601  # the gap is one more
    assert {points[0], points[1_234], points[4_000], points[6_543], points[-1]} <= set(thinned)
    assert [x for x, _ in thinned] == sorted(x for x, _ in thinned)


@given(
    values=st.lists(st.floats(0, 10), min_size=1, max_size=400),
    most=st.integers(4, 60),
    stride=st.integers(1, 50),
)
def test_thinning_keeps_ends_and_extremes(values: list[float], most: int, stride: int) -> None:
    points: list[Point] = [(7 + number * stride, value) for number, value in enumerate(values)]
    kept = thin(points, most)
    assert len(kept) <= most
    assert [x for x, _ in kept] == sorted({x for x, _ in kept})
    assert set(kept) <= set(points)
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    heights = [y for _, y in kept if y is not None]
    assert max(heights) == max(values)
    assert min(heights) == min(values)


def test_short_curves_are_left_alone() -> None:
    points: list[Point] = [(1, 2.0), (2, None), (3, 1.0)]
    assert thin(points, 3) == points


def test_smoothing_keeps_a_straight_line_and_spans_no_gap() -> None:
    straight: list[Point] = [(step, 5.0 - step / 100) for step in range(200)]
    assert [y for _, y in smooth(straight)] == pytest.approx([y for _, y in straight])
    with_gap: list[Point] = [(0, 1.0), (1, None), (2, 3.0), (3, 3.0), (4, 3.0)]
    assert smooth(with_gap) == [(0, 1.0), (1, None), (2, 3.0), (3, 3.0), (4, 3.0)]


@pytest.mark.parametrize(("rough", "step"), [(0.07, 0.1), (0.1, 0.1), (1.3, 2.0), (2.1, 2.5), (3.0, 5.0), (7.0, 10.0)])
def test_steps_are_round(rough: float, step: float) -> None:
    assert nice_step(rough) == pytest.approx(step)


def test_a_scale_holds_its_values_and_labels_them_apart() -> None:
    down = scale([1.93, 2.48], 300, 20, ticks=5)
    assert down.low <= 1.93
    assert down.high >= 2.48
    labels = [down.label(tick) for tick in down.ticks]
    assert len(set(labels)) == len(labels) >= 4
    assert down(down.low) == 300
    assert down(down.high) == 20


@pytest.mark.parametrize("values", [[], [2.0], [2.0, 2.0, 2.0], [0.0], [1e-7, 2e-7], [5e6, 9e6]])
def test_awkward_values_still_give_a_scale(values: list[float]) -> None:
    across = scale(values, 0, 100, ticks=5)
    assert across.low < across.high
    assert len(across.ticks) >= 2
    assert all(0 <= across(value) <= 100 for value in values)
    assert len({across.label(tick) for tick in across.ticks}) == len(across.ticks)


def test_steps_get_whole_ticks_only() -> None:
    across = scale([0, 3], 0, 100, ticks=8, whole=True)
    assert across.ticks == (0, 1, 2, 3)


def test_a_spike_among_ten_thousand_steps_is_drawn() -> None:
    points: list[Point] = [(step, 2.0) for step in range(1, 10_001)]
    points[7_777] = (7_778, 40.0)
    root = draw(Series("Training loss", thin(points, 600)))
    heights = curve_heights(root)
    assert len(heights) <= 600
    usual = max(heights)
    assert sum(height < usual / 2 for height in heights) == 1


def test_gaps_lift_the_pen_and_lone_points_become_dots() -> None:
    points: list[Point] = [(1, 2.0), (2, 1.9), (3, math.nan), (4, 1.8), (5, None), (6, 1.7), (7, 1.6)]
    root = draw(Series("Training loss", points))
    path = next(p for p in root.iter(f"{SVG}path") if p.get("fill") == "none")
    assert path.get("d", "").count("M") == 3
    assert len(list(root.iter(f"{SVG}circle"))) == 1


@pytest.mark.parametrize("points", [[], [(0, 2.5)], [(0, None)], [(step, 2.0) for step in range(50)]])
@pytest.mark.parametrize("width", [340, 920])
def test_few_constant_or_no_points_still_draw(points: list[Point], width: int) -> None:
    root = draw(Series("Training loss", points), Series("Validation loss", points, "marked"), width=width)
    assert root.get("viewBox", "").startswith(f"0 0 {width} ")


def test_markers_tell_their_values_and_the_drawing_its_title() -> None:
    root = draw(Series("Validation loss", [(0, 2.5), (40, 1.98768)], "marked"), marks=(Mark(40, "kept"),))
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles[0] == "Loss & <title>"
    assert "Validation loss, 40: 1.9877" in titles
    assert root.find(f"{SVG}desc") is not None
    assert {"kept", "Validation loss"} <= {text.text for text in root.iter(f"{SVG}text")}


def test_ids_belong_to_their_chart_and_are_safe() -> None:
    first, second = (draw(Series("Loss", [(1, 2.0)]), chart_id=name) for name in ("loss-1", 'a"> <b'))
    ids = [{element.get("id") for element in root.iter() if element.get("id")} for root in (first, second)]
    assert len(ids[0]) == 3
    assert not ids[0] & ids[1]
    assert all(re.fullmatch(r"[\w-]+", str(one)) for one in ids[1])
    for root, own in zip((first, second), ids, strict=True):
        assert set(root.get("aria-labelledby", "").split()) <= own


def test_all_drawing_stays_inside_the_frame() -> None:
    root = draw(Series("Validation loss", [(0, 2.5), (10_000, 1.5)], "marked"), width=340)
    for text in root.iter(f"{SVG}text"):
        wide = 6.3 * len(text.text or "")
        x = float(text.get("x", "nan"))
        left = {"start": x, "middle": x - wide / 2, "end": x - wide}[text.get("text-anchor", "start")]
        assert left >= -1
        assert left + wide <= 341


def test_bars_begin_at_zero_and_say_how_many_are_behind_them() -> None:
    text = bar_pairs(
        [Pair("anxious <b>", 2.0, 1.0, 1), Pair("a" * 200, 4.0, 3.0, 1_200)],
        chart_id="persona",
        title="By persona",
        description="Two groups",
        names=("Base model", "Tuned model"),
        count_noun="answer",
        x_label="Loss",
        width=340,
    )
    root = ET.fromstring(text)  # noqa: S314 - our own text
    bars = [rect for rect in root.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]
    widths = [float(rect.get("width", "0")) for rect in bars]
    assert widths == pytest.approx([w * widths[1] for w in (2.0, 1.0, 4.0, 3.0)], rel=0.01)
    said = "".join(root.itertext())
    assert "1 answer" in said
    assert "1,200 answers" in said
    assert "anxious <b>, Base model: 2.0000 (1 answer)" in said
    fills = {rect.get("fill-opacity") for rect in bars}
    assert len(fills) == 2
