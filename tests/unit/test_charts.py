"""Charts of the pages: true to their numbers, legible without color, sight or a wide screen, and safe to embed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from brightrun.charts.axes import log_scale
from brightrun.charts.curves import Point
from brightrun.charts.estimates import Estimate, estimate_chart
from brightrun.charts.gauges import Part, cost_bar, memory_bar
from brightrun.charts.histogram import Bin, histogram
from brightrun.charts.lines import ChartStyle, Series, line_chart
from brightrun.charts.matrix import matrix
from brightrun.charts.run_charts import MAX_POINTS, MEASURES, ChartedRun, measure_chart, overlay_chart
from brightrun.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"><script>alert(1)</script>&<b>\x00'
WIDTHS = (340, 920)


def gigabytes(amount: float) -> str:
    return f"{amount:.1f} GB"


def dollars(amount: float) -> str:
    return f"${amount:.2f}"


def parse(text: str) -> ET.Element:
    """Well-formed, and nothing that the pages' policy forbids or that runs."""
    assert "style=" not in text
    assert "<style" not in text
    assert not re.search(r"<script|\son\w+=|href=", text)
    return ET.fromstring(text)  # noqa: S314 - our own text


def texts(root: ET.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def tooltips(root: ET.Element) -> list[str]:
    return [title.text or "" for title in root.iter(f"{SVG}title")][1:]


def number(element: ET.Element, name: str) -> float:
    return float(element.get(name, "nan"))


def rectangle(root: ET.Element, said: str) -> ET.Element:
    """The one rectangle whose tooltip begins so."""
    found = [r for r in root.iter(f"{SVG}rect") if (r.findtext(f"{SVG}title") or "").startswith(said)]
    assert len(found) == 1, said
    return found[0]


def hover(text: str) -> dict[str, object]:
    data: dict[str, object] = json.loads(parse(text).get("data-points", ""))
    return data


def line(*series: Series, style: ChartStyle, width: int = 920) -> str:
    return line_chart(
        series, chart_id="c", title="T", description="D", x_label="Step", y_label="Loss", width=width, style=style
    )


# Scales


@pytest.mark.parametrize(
    "values", [[1.0, 10.0], [0.3, 0.4], [1e-7, 5e4], [3.0], [2.0, 2.0], [0.0, 5.0, 50.0], [1e3, 1.1e6]]
)
def test_a_logarithmic_scale_holds_its_values_and_labels_them_apart(values: list[float]) -> None:
    along = log_scale(values, 0, 100, ticks=5)
    assert along.logarithmic
    assert 2 <= len(along.ticks) <= 6
    assert all(-1e-6 <= along(value) <= 100 + 1e-6 for value in values if value > 0)
    assert len({along.label(tick) for tick in along.ticks}) == len(along.ticks)


def test_equal_factors_are_equally_long() -> None:
    along = log_scale([1.0, 1000.0], 0, 300, ticks=5)
    assert along(10) - along(1) == pytest.approx(along(1000) - along(100)) == pytest.approx(100)


def test_without_a_value_above_zero_the_scale_is_straight() -> None:
    assert not log_scale([0.0, -1.0], 0, 100, ticks=5).logarithmic


# Lines with numbers for the page's script


def test_the_numbers_for_the_script_are_those_that_are_drawn() -> None:
    points: list[Point] = [(1, 2.0), (2, None), (3, 1.23456789), (4, math.inf), (5, 0.0)]
    data = hover(line(Series(HOSTILE, points), Series("Held-out", [(3, 1.5)], "marked"), style=ChartStyle(hover=True)))
    assert data["series"] == [
        {"name": HOSTILE, "kind": "line", "x": [1, 3, 5], "y": [2.0, 1.23457, 0.0]},
        {"name": "Held-out", "kind": "marked", "x": [3], "y": [1.5]},
    ]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_the_script_finds_the_pixels_of_the_curve(logarithmic: bool) -> None:
    points: list[Point] = [(1, 0.5), (4, 3.0), (9, 40.0)]
    text = line(Series("Norm", points), style=ChartStyle(hover=True, logarithmic=logarithmic))
    data = hover(text)
    path = next(p for p in parse(text).iter(f"{SVG}path") if p.get("fill") == "none")
    drawn = [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path.get("d", ""))]

    def pixel(axis: object, value: float) -> float:
        assert isinstance(axis, dict)
        low, high = axis["low"], axis["high"]
        share = math.log(value / low) / math.log(high / low) if axis["log"] else (value - low) / (high - low)
        return float(axis["start"] + share * (axis["end"] - axis["start"]))

    expected = [(pixel(data["x"], x), pixel(data["y"], y)) for x, y in points if y is not None]
    for here, there in zip(drawn, expected, strict=True):
        assert here == pytest.approx(there, abs=0.11)


def test_a_chart_without_hover_carries_no_numbers_and_takes_no_focus() -> None:
    root = parse(line(Series("Loss", [(1, 2.0)]), style=ChartStyle()))
    assert root.get("data-points") is None
    assert root.get("tabindex") is None


def test_on_equal_factors_a_zero_is_a_gap() -> None:
    root = parse(
        line(Series("Norm", [(1, 1.0), (2, 10.0), (3, 0.0), (4, 5.0), (5, 6.0)]), style=ChartStyle(logarithmic=True))
    )
    path = next(p for p in root.iter(f"{SVG}path") if p.get("fill") == "none")
    assert path.get("d", "").count("M") == 2


def test_a_run_that_goes_on_leaves_room_for_its_end() -> None:
    points: list[Point] = [(step, 2.0) for step in range(1, 26)]
    for end, share in ((100, 0.25), (25, 1.0)):
        data = hover(measure_chart(MEASURES["loss"], points, chart_id="c", total_steps=end)["wide"])
        axis = data["x"]
        assert isinstance(axis, dict)
        assert axis["high"] == end
        assert (25 - axis["low"]) / (axis["high"] - axis["low"]) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("name", list(MEASURES))
@pytest.mark.parametrize(
    "points", [[], [(1, 3e-5)], [(1, None)], [(step, 2.0 + step) for step in range(1, MAX_POINTS + 1)]]
)
def test_every_measure_draws_from_the_first_step_on(name: str, points: list[Point]) -> None:
    drawn = measure_chart(MEASURES[name], points, chart_id=f"job-{name}", total_steps=1000)
    assert set(drawn) == {"wide", "narrow"}
    roots = [parse(text) for text in drawn.values()]
    assert roots[0].get("id") != roots[1].get("id")
    assert sum(len(text) for text in drawn.values()) < 60_000
    said = roots[0].findtext(f"{SVG}desc") or ""
    assert ("No step is done yet." in said) == (points == [])


def test_memory_is_shown_in_gib_and_the_loss_with_its_held_out_points() -> None:
    data = hover(measure_chart(MEASURES["memory_bytes"], [(1, float(3 << 30))], chart_id="m")["wide"])
    assert data["series"] == [{"name": "Memory", "kind": "line", "x": [1], "y": [3.0]}]
    drawn = measure_chart(MEASURES["loss"], [(1, 2.5), (2, 2.0)], [(0, 2.6)], chart_id="l", total_steps=9)["wide"]
    said = parse(drawn).findtext(f"{SVG}desc") or ""
    assert "2 of 9 steps." in said
    assert "Training loss went from 2.5 at step 1 to 2 at step 2" in said
    assert "Validation loss was 2.6 at step 0." in said


def test_speed_and_memory_are_drawn_over_zero() -> None:
    points: list[Point] = [(1, 900.0), (2, 950.0)]
    lows = {}
    for name in ("tokens_per_second", "loss"):
        axis = hover(measure_chart(MEASURES[name], points, chart_id="t")["wide"])["y"]
        assert isinstance(axis, dict)
        lows[name] = axis["low"]
    assert lows["tokens_per_second"] == 0
    assert lows["loss"] > 0


def test_a_spike_lifts_the_trend_of_a_gradient_norm_by_its_factor_only() -> None:
    points: list[Point] = [(step, 1.0) for step in range(1, 401)]
    points[200] = (201, 1e6)
    series = hover(measure_chart(MEASURES["grad_norm"], points, chart_id="g")["wide"])["series"]
    assert isinstance(series, list)
    assert max(series[1]["y"]) < 3.0  # 1e6 over 21 neighbours: 10 ** (6 / 21) = 1.93, where the mean were 47,620


# Runs over each other


def test_runs_differ_in_dash_and_marker_and_each_is_named() -> None:
    runs = [ChartedRun(f"run {n} {HOSTILE}", [(s, 2.0 + n + s / 100) for s in range(40)]) for n in range(4)]
    root = parse(overlay_chart(MEASURES["loss"], runs, chart_id="o")["wide"])
    curves = [path for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    assert len({curve.get("stroke-dasharray") for curve in curves}) == 4
    outlines = {re.sub(r"^M[-\d. ]+", "", p.get("d", "")) for p in root.iter(f"{SVG}path") if p.get("fill") != "none"}
    assert len(outlines) == 4
    named = [text for text in texts(root) if text.startswith("run ")]
    assert len(named) == 4
    assert (root.findtext(f"{SVG}desc") or "").count(" went from ") == 4


@pytest.mark.parametrize("count", [0, 1, 5])
def test_one_run_or_five_are_not_laid_over_each_other(count: int) -> None:
    with pytest.raises(InputError, match="cannot be laid over"):
        overlay_chart(MEASURES["loss"], [ChartedRun(str(n), [(1, 2.0)]) for n in range(count)], chart_id="o")


# Histogram


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_are_as_high_as_their_counts_and_what_is_too_long_stands_out(width: int) -> None:
    text = histogram(
        [Bin(0, 99, 4), Bin(100, 199, 8), Bin(200, 299, 2)],
        chart_id="h",
        title="Lengths",
        x_label="Tokens",
        noun="conversation",
        limit=199,
        limit_label="maximum length",
        width=width,
    )
    root = parse(text)
    low, high, over = (rectangle(root, said) for said in ("0 to 99", "100 to 199", "200 to 299"))
    assert number(high, "height") == pytest.approx(2 * number(low, "height"), abs=0.3)
    assert over.get("stroke-width") != low.get("stroke-width")
    assert over.get("fill") != low.get("fill")
    assert "Over the maximum length" in texts(root)
    assert "maximum length: 199" in texts(root)
    assert (root.findtext(f"{SVG}desc") or "").endswith("The maximum length is 199: 2 above it.")


def test_what_is_exactly_as_long_as_allowed_is_allowed() -> None:
    root = parse(
        histogram([Bin(100, 100, 3)], chart_id="h", title="L", x_label="Tokens", noun="conversation", limit=100)
    )
    assert (root.findtext(f"{SVG}desc") or "").endswith("The limit is 100: none is above it.")
    assert not any("over" in r.get("fill", "") for r in root.iter(f"{SVG}rect"))


def test_a_histogram_of_nothing_says_so() -> None:
    root = parse(histogram([], chart_id="h", title="Lengths", x_label="Tokens", noun="conversation"))
    assert root.findtext(f"{SVG}desc") == "There is no conversation."


# Matrix


COUNTS = {("planner", "calm"): 12, ("planner", "angry"): 1, ("avoider", "calm"): 3, ("avoider", HOSTILE): 1200}


def test_every_combination_has_its_number_also_those_that_never_occur() -> None:
    root = parse(
        matrix(COUNTS, chart_id="m", title="Coverage", sides=("persona", "arc"), noun="conversation", width=920)
    )
    said = tooltips(root)
    assert "planner, calm: 12 conversations" in said
    assert "planner, angry: 1 conversation" in said
    assert "avoider, angry: 0 conversations" in said
    assert texts(root).count("0") == 2
    assert "2 combinations never occur" in (root.findtext(f"{SVG}desc") or "")
    assert "1,203" in texts(root)  # the avoider's sum, which comes first
    assert texts(root).index("1,203") < texts(root).index("13")
    fullest, emptiest = rectangle(root, 'avoider, ">'), rectangle(root, "planner, angry")
    assert number(fullest, "fill-opacity") > number(emptiest, "fill-opacity")


def test_many_columns_make_it_wider_than_the_page_and_never_narrower_than_legible() -> None:
    counts = {("planner", f"a rather long arc number {n}"): n for n in range(1, 31)}
    root = parse(matrix(counts, chart_id="m", title="C", sides=("persona", "arc"), noun="conversation", width=920))
    assert number(root, "width") > 920
    assert min(number(cell, "width") for cell in root.iter(f"{SVG}rect")) >= 60


def test_on_a_phone_it_is_a_list_inside_the_screen() -> None:
    root = parse(
        matrix(COUNTS, chart_id="m", title="Coverage", sides=("persona", "arc"), noun="conversation", width=340)
    )
    assert number(root, "width") == 340
    assert {"planner", "13", "calm", "12", "with 1 other arc: 0"} <= set(texts(root))


def test_nothing_labelled_draws_a_sentence() -> None:
    for width in WIDTHS:
        root = parse(matrix({}, chart_id="m", title="C", sides=("persona", "arc"), noun="answer", width=width))
        assert root.findtext(f"{SVG}desc") == "No answer has both labels."


# Memory and money


def bar(parts: list[Part], capacity: float | None, width: int = 920) -> ET.Element:
    return parse(memory_bar(parts, capacity, chart_id="b", title="Memory", say=gigabytes, width=width))


@pytest.mark.parametrize("width", WIDTHS)
def test_parts_are_as_wide_as_they_are_large_and_named_in_the_list(width: int) -> None:
    root = bar([Part("Base", 30), Part(f"Adapter {HOSTILE}", 10)], 80, width)
    base, adapter = rectangle(root, "Base: 30.0 GB"), rectangle(root, "Adapter")
    assert number(base, "width") == pytest.approx(3 * number(adapter, "width"), rel=0.01)
    assert number(base, "width") == pytest.approx(30 / 80 * (width - 4), rel=0.01)
    assert base.get("fill-opacity") != adapter.get("fill-opacity")
    assert {"Fits: 40.0 GB to spare", "needs 40.0 GB of 80.0 GB", "30.0 GB", "10.0 GB"} <= set(texts(root))


def test_what_does_not_fit_says_by_how_much_and_frames_the_rest() -> None:
    root = bar([Part("Base", 60), Part("Activations", 40)], 80)
    assert "Does not fit: 20.0 GB too much" in texts(root)
    frames = [r for r in root.iter(f"{SVG}rect") if r.get("fill") == "none"]
    assert len(frames) == 1
    assert number(frames[0], "width") == pytest.approx(0.2 * 916, rel=0.01)
    assert "Fits: 0.0 GB to spare" in texts(bar([Part("Base", 80)], 80))
    assert not [r for r in bar([Part("Base", 80)], 80).iter(f"{SVG}rect") if r.get("fill") == "none"]


def test_an_unknown_capacity_is_no_verdict() -> None:
    said = texts(bar([Part("Base", 60)], None))
    assert "Not known whether it fits" in said
    assert not any("to spare" in text or "too much" in text for text in said)


def costs(**values: object) -> ET.Element:
    given: dict[str, object] = {"spent": 2.0, "expected": 4.0, "band": (3.0, 5.0), "cap": 8.0}
    return parse(cost_bar(**(given | values), chart_id="c", title="Cost", say=dollars))  # type: ignore[arg-type]


def solid(root: ET.Element) -> list[ET.Element]:
    return [r for r in root.iter(f"{SVG}rect") if "first" in r.get("fill", "")][1:]  # the first one is the legend's


def test_money_is_drawn_to_scale_and_told_in_words() -> None:
    root = costs()
    assert {"Spent: $2.00", "Expected: $4.00 ($3.00 to $5.00)", "Cap: $8.00"} <= set(texts(root))
    assert number(solid(root)[0], "width") == pytest.approx(2 / (8 * 1.04) * 710, rel=0.01)


def test_money_that_is_not_known_is_not_drawn_as_nothing_spent() -> None:
    root = costs(spent=None, expected=None, band=None, cap=None)
    assert {"Spent: not known", "Expected: not known", "No cap"} <= set(texts(root))
    assert solid(root) == []
    assert "Cap: $8.00" in texts(costs())
    thick = [[line for line in one.iter(f"{SVG}line") if line.get("stroke-width") == "3"] for one in (costs(), root)]
    assert [len(lines) > 0 for lines in thick] == [True, False], "where there is no cap, nothing stands for one"
    assert "Spent: $0.00" in texts(costs(spent=0.0))


def test_what_was_spent_beyond_the_cap_is_red() -> None:
    root = costs(spent=10.0)
    assert "Over the cap: $2.00" in texts(root)
    inside = solid(root)[0]
    beyond = [r for r in root.iter(f"{SVG}rect") if "over" in r.get("fill", "")][-1]
    assert number(beyond, "width") == pytest.approx(number(inside, "width") / 4, rel=0.02)


# Estimates


def estimates(*jobs: Estimate, width: int = 920) -> ET.Element:
    return parse(estimate_chart(jobs, chart_id="e", title="Cost", x_label="Cost (dollars)", say=dollars, width=width))


@pytest.mark.parametrize("width", WIDTHS)
def test_an_actual_value_outside_the_band_has_another_shape_than_one_inside(width: int) -> None:
    root = estimates(
        Estimate("in", 1, 2, 3, 2.5),
        Estimate(f"out {HOSTILE}", 1, 2, 3, 3.5),
        Estimate("open", 1, 2, 3, None),
        width=width,
    )
    drawn = {
        p.findtext(f"{SVG}title", "").split(":")[0]: p
        for p in root.iter(f"{SVG}path")
        if p.find(f"{SVG}title") is not None
    }
    assert len(drawn) == 2
    inside, outside = (next(p for name, p in drawn.items() if name.startswith(start)) for start in ("in", "out"))
    shapes = [re.sub(r"^M[-\d. ]+", "", path.get("d", "")) for path in (inside, outside)]
    assert shapes[0] != shapes[1]
    assert inside.get("fill") != outside.get("fill")
    assert "Actual, outside the band" in texts(root)
    assert {"actual $2.50", "actual $3.50", "actual not known"} <= set(texts(root))
    said = root.findtext(f"{SVG}desc") or ""
    assert said.startswith("For 1 of 2 jobs the actual value lies inside the predicted band.")


def test_jobs_of_very_different_size_share_a_scale_of_factors() -> None:
    small, large = Estimate("small", 1, 2, 4, 2), Estimate("large", 1000, 2000, 4000, 2000)
    root = estimates(small, large)
    wide = [number(rectangle(root, f"{name}: predicted"), "width") for name in ("small", "large")]
    assert wide[0] == pytest.approx(wide[1], rel=0.02)
    alike = estimates(Estimate("a", 1, 2, 3, 2), Estimate("b", 2, 4, 6, 4))
    wide = [number(rectangle(alike, f"{name}: predicted"), "width") for name in ("a", "b")]
    assert wide[1] == pytest.approx(2 * wide[0], rel=0.02)


def test_without_a_finished_job_it_says_that_there_is_none() -> None:
    assert (estimates().findtext(f"{SVG}desc") or "").startswith("There is no job yet")


# All of them


def _overlay() -> str:
    return overlay_chart(
        MEASURES["loss"], [ChartedRun(HOSTILE, [(1, 2.0)]), ChartedRun("b", [(1, 3.0)])], chart_id=HOSTILE
    )["narrow"]


ALL: dict[str, Callable[[], str]] = {
    "overlay": _overlay,
    "histogram": lambda: histogram([Bin(0, 9, 3)], chart_id=HOSTILE, title=HOSTILE, x_label=HOSTILE, noun=HOSTILE),
    "matrix": lambda: matrix({(HOSTILE, HOSTILE): 1}, chart_id=HOSTILE, title=HOSTILE, sides=("a", "b"), noun="c"),
    "memory": lambda: memory_bar([Part(HOSTILE, 1)], 2, chart_id=HOSTILE, title=HOSTILE, say=gigabytes),
    "estimates": lambda: estimate_chart(
        [Estimate(HOSTILE, 1, 2, 3, 4)], chart_id=HOSTILE, title=HOSTILE, x_label=HOSTILE, say=dollars
    ),
}


@pytest.mark.parametrize("name", list(ALL))
def test_hostile_words_stay_words_and_every_drawing_is_named(name: str) -> None:
    root = parse(ALL[name]())
    ids = {element.get("id", "") for element in root.iter() if element.get("id")}
    assert all(re.fullmatch(r"[\w-]+", one) for one in ids)
    assert {root.get("aria-labelledby"), root.get("aria-describedby")} <= ids
    assert all(element.tag.startswith(SVG) for element in root.iter())
    assert not list(root.iter(f"{SVG}script"))
    assert "alert(1)" in "".join(root.itertext())
