// Shows a chart's values under the pointer, and with the arrow keys when the chart has the focus.
//
// A chart is an <svg data-points="…"> as charts/hover.py describes. Charts may come and go with fragments of the
// page: the listeners sit on the document, and a chart that replaces one of the same id goes on where that one was.

const SVG = "http://www.w3.org/2000/svg";
const CHARTS = "svg[data-points]";
const parsed = new WeakMap(); // chart -> {text, data}
let shown = null; // {id, x, byKey}: which chart shows its values, and where

document.addEventListener("pointermove", (event) => {
  const chart = chartOf(event.target);
  if (chart) showAt(chart, nearestStep(chart, pointerX(chart, event)), false);
  else if (shown && !shown.byKey) hide();
});
document.addEventListener("pointerdown", (event) => {
  const chart = chartOf(event.target);
  if (chart) showAt(chart, nearestStep(chart, pointerX(chart, event)), false);
  else hide();
});
document.documentElement.addEventListener("pointerleave", () => {
  if (shown && !shown.byKey) hide();
});
document.addEventListener("focusin", (event) => {
  const chart = chartOf(event.target);
  if (chart && !(shown && shown.id === chart.id) && chart.matches(":focus-visible")) {
    const steps = data(chart).steps;
    if (steps.length) showAt(chart, steps[steps.length - 1], true);
  }
});
document.addEventListener("focusout", (event) => {
  const chart = chartOf(event.target);
  if (!chart) return;
  queueMicrotask(() => {
    if (chart.isConnected && document.activeElement !== chart) hide(); // one that was replaced goes on, see tend
  });
});
document.addEventListener("keydown", (event) => {
  const chart = chartOf(event.target);
  if (!chart || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape" && shown) return hide();
  const steps = data(chart).steps;
  const here = shown && shown.id === chart.id ? steps.indexOf(nearest(steps, shown.x)) : steps.length - 1;
  const leap = Math.max(1, Math.round(steps.length / 10));
  const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -leap, PageUp: leap };
  const next = { Home: 0, End: steps.length - 1 }[event.key] ?? here + (moves[event.key] ?? NaN);
  if (Number.isNaN(next) || !steps.length) return;
  event.preventDefault();
  showAt(chart, steps[Math.min(Math.max(next, 0), steps.length - 1)], true);
});

new MutationObserver(tend).observe(document.documentElement, {
  childList: true,
  subtree: true,
  attributes: true,
  attributeFilter: ["data-points"],
});
tend();

/** Makes new charts known to screen readers as something with values, and goes on in a chart that was replaced. */
function tend() {
  for (const chart of document.querySelectorAll(`${CHARTS}:not([aria-valuenow])`)) {
    const steps = data(chart).steps;
    if (!steps.length) continue;
    chart.setAttribute("role", "slider"); // arrow keys reach it, and its value is announced politely as it changes
    chart.setAttribute("aria-roledescription", "chart");
    chart.setAttribute("aria-orientation", "horizontal");
    chart.setAttribute("aria-valuemin", steps[0]);
    chart.setAttribute("aria-valuemax", steps[steps.length - 1]);
    describe(chart, shown && shown.id === chart.id ? nearest(steps, shown.x) : steps[steps.length - 1]);
    if (shown && shown.id === chart.id) {
      if (shown.byKey && (document.activeElement === document.body || !document.activeElement)) {
        chart.focus({ preventScroll: true });
      }
      showAt(chart, nearest(steps, shown.x), shown.byKey);
    }
  }
  if (shown && !document.getElementById(shown.id)) shown = null;
}

function chartOf(target) {
  return target instanceof Element ? target.closest(CHARTS) : null;
}

/** The chart's numbers, read once for each drawing: axes, series, and every x at which a series has a value, in order. */
function data(chart) {
  const text = chart.dataset.points;
  let known = parsed.get(chart);
  if (known?.text !== text) {
    known = { text, data: JSON.parse(text) };
    known.data.steps = [...new Set(known.data.series.flatMap((series) => series.x))].sort((a, b) => a - b);
    parsed.set(chart, known);
  }
  return known.data;
}

function pointerX(chart, event) {
  const frame = chart.getBoundingClientRect();
  return ((event.clientX - frame.left) / frame.width) * chart.viewBox.baseVal.width;
}

function nearestStep(chart, pixel) {
  const { x, steps } = data(chart);
  return nearest(steps, x.low + ((pixel - x.start) / (x.end - x.start)) * (x.high - x.low));
}

/** The value of a sorted list that lies nearest; undefined of an empty one. */
function nearest(sorted, wanted) {
  let low = 0;
  let high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= wanted) low = middle;
    else high = middle;
  }
  return wanted - sorted[low] <= sorted[high] - wanted ? sorted[low] : sorted[high];
}

/** Each series' value at a step, or the nearest one within its reach; a series that lies elsewhere has none. */
function valuesAt(chart, step) {
  const { series } = data(chart);
  return series
    .filter(({ x }) => x.length && step >= x[0] && step <= x[x.length - 1])
    .map((one) => {
      const at = nearest(one.x, step);
      return { name: one.name, kind: one.kind, step: at, value: one.y[one.x.indexOf(at)] };
    });
}

function spoken(chart, step) {
  const { x } = data(chart);
  const lines = valuesAt(chart, step).map(
    (one) => `${one.name} ${number(one.value)}${one.step === step ? "" : ` at ${number(one.step)}`}`,
  );
  return [`${x.label} ${number(step)}`, ...lines].join(", ");
}

function describe(chart, step) {
  chart.setAttribute("aria-valuenow", step);
  chart.setAttribute("aria-valuetext", spoken(chart, step));
}

function showAt(chart, step, byKey) {
  if (step === undefined) return;
  hide();
  shown = { id: chart.id, x: step, byKey };
  describe(chart, step);
  drawCross(chart, step);
  drawReadout(chart, step);
}

function hide() {
  for (const left of document.querySelectorAll(".chart-cross, .chart-readout")) left.remove();
  shown = null;
}

function drawCross(chart, step) {
  const { x, y, series } = data(chart);
  const cross = document.createElementNS(SVG, "g");
  cross.setAttribute("class", "chart-cross");
  cross.setAttribute("pointer-events", "none");
  const place = along(x, step);
  cross.append(
    shape("line", { x1: place, x2: place, y1: y.start, y2: y.end, stroke: "currentColor", "stroke-dasharray": "2 2" }),
  );
  for (const one of valuesAt(chart, step)) {
    const drawn = series.find((other) => other.name === one.name);
    if (drawn.kind === "faint" && series.length > 1) continue;
    const spot = { cx: along(x, one.step), cy: along(y, one.value), r: 4.5 };
    cross.append(shape("circle", { ...spot, fill: "none", stroke: "currentColor", "stroke-width": 1.5 }));
  }
  chart.append(cross);
}

function along(axis, value) {
  const share = axis.log
    ? Math.log(value / axis.low) / Math.log(axis.high / axis.low)
    : (value - axis.low) / (axis.high - axis.low);
  return axis.start + share * (axis.end - axis.start);
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The box with the values, beside the crosshair and inside the chart's own container. */
function drawReadout(chart, step) {
  const room = chart.parentElement;
  const box = document.createElement("div");
  box.className = "chart-readout";
  box.setAttribute("aria-hidden", "true"); // the chart itself tells its value
  const { x } = data(chart);
  box.append(line(`${x.label} ${number(step)}`, ""));
  for (const one of valuesAt(chart, step)) {
    const where = one.step === step ? "" : ` (${x.label.toLowerCase()} ${number(one.step)})`;
    box.append(line(one.name + where, number(one.value)));
  }
  room.append(box);
  const frame = chart.getBoundingClientRect();
  const scale = frame.width / chart.viewBox.baseVal.width;
  const place = along(x, step) * scale;
  const left = place + 14 + box.offsetWidth <= frame.width ? place + 14 : place - 14 - box.offsetWidth;
  box.style.left = `${chart.offsetLeft ?? 0}px`;
  box.style.transform = `translate(${Math.max(0, Math.min(left, frame.width - box.offsetWidth))}px, 0)`;
  const coversCurves = box.offsetWidth > frame.width / 2; // then it lies over the legend
  box.style.top = coversCurves ? "0" : `${Math.max(0, data(chart).y.end * scale - 6)}px`;
}

function line(name, value) {
  const row = document.createElement("div");
  const label = document.createElement("span");
  label.textContent = name;
  const figure = document.createElement("strong");
  figure.textContent = value;
  row.append(label, figure);
  return row;
}

function number(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  if (size < 1e-3) return value.toExponential(2).replace("e-", " × 10^−");
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}
