// The curves and the heat strips: a store of numbers, figures made of it, and a Plotly chart that keeps the reader's
// zoom and hover while it is redrawn.

const POINTS = 1500, COLUMNS = 160, SLOWEST = 100;
const DECADES = [1e-5, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1e3, 1e4, 1e5];
export const CIVIDIS = "#00224e,#123570,#3b496c,#575d6d,#707173,#8a8678,#a59c74,#c3b369,#e1cc55,#fee838";
export const BLUE_ORANGE = "#08306b,#1f5fa8,#5b9bd0,#a6cce6,#e6f0f7,#fbeee2,#f5c08f,#e08a3c,#b3560f,#6e2f04";

/** One name's numbers in order of step. The first value of a step stands. */
export class Series {
  steps = [];
  values = [];

  add(step, value) {
    const n = this.steps.length;
    if (!n || step > this.steps[n - 1]) return !!(this.steps.push(step) && this.values.push(value));
    const at = firstAtLeast(this.steps, step);
    if (this.steps[at] === step) return false;
    this.steps.splice(at, 0, step);
    this.values.splice(at, 0, value);
    return true;
  }

  get last() { return this.values[this.values.length - 1]; }
}

function firstAtLeast(steps, step) {
  let low = 0, high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1; else high = middle;
  }
  return low;
}

/** Exponential mean over about `width` steps, so that a measure read seldom does not lag; bad values are left out. It
    may go on from the `sum` and `weight` of earlier steps, of which `last` is the newest. */
export function smooth(steps, values, width, { sum = 0, weight = 0, last } = {}) {
  return values.map((v, i) => {
    if (!Number.isFinite(v)) return null;
    const before = i ? steps[i - 1] : last;
    const keep = (1 - 1 / width) ** (before === undefined ? 1 : steps[i] - before);
    sum = keep * sum + v;
    weight = keep * weight + 1;
    return sum / weight;
  });
}

/** The smoothed curve of a series. Where its beginning came thinned, what was smoothed of every step came with it. */
export function smoothed({ steps, values, past }, width) {
  if (!past) return { steps, values: smooth(steps, values, width) };
  const from = firstAtLeast(steps, past.last + 1);
  return {
    steps: [...past.steps, ...steps.slice(from)],
    values: [...past.values, ...smooth(steps.slice(from), values.slice(from), width, past)],
  };
}

/** At most about POINTS points of the shown range; every bucket keeps its lowest and highest, so no spike is lost. */
function thin(steps, values, range) {
  const from = range ? Math.max(0, firstAtLeast(steps, range[0]) - 1) : 0;
  const to = range ? Math.min(steps.length, firstAtLeast(steps, range[1]) + 1) : steps.length;
  const x = [], y = [], size = Math.ceil((2 * (to - from)) / POINTS);
  for (let start = from; start < to; start += size) {
    let low = start, high = start;
    const end = Math.min(to, start + size);
    for (let i = start + 1; i < end; i++) {
      if (values[i] < values[low] || !Number.isFinite(values[low])) low = i;
      if (values[i] > values[high] || !Number.isFinite(values[high])) high = i;
    }
    for (const i of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
      x.push(steps[i]);
      y.push(Number.isFinite(values[i]) ? values[i] : null);
    }
  }
  return { x, y };
}

let pixel;
/** Any CSS colour as #rrggbb: Plotly does not know color-mix(). */
export function plain(color) {
  pixel ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  pixel.fillStyle = color;
  pixel.fillRect(0, 0, 1, 1);
  return `#${[...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v.toString(16).padStart(2, "0")).join("")}`;
}

/** The theme's colours; the scales are the ones of every other chart of the app. */
export function palette(root) {
  const style = getComputedStyle(root), probe = root.querySelector(".ll-probe").style;
  const get = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const of = (name) => {
    probe.color = `var(--ll-${name})`;
    return plain(getComputedStyle(root.querySelector(".ll-probe")).color);
  };
  const lines = get("--st-chart-categorical-colors", "").split(","); // the first two, as in the app's other charts
  ["train", "val"].forEach((name, i) => lines[i] && root.style.setProperty(`--ll-${name}`, lines[i]));
  const scale = (name, otherwise) => get(`--st-chart-${name}-colors`, otherwise).split(",").map(plain);
  const colors = { font: style.fontFamily, sequential: scale("sequential", CIVIDIS), diverging: scale("diverging", BLUE_ORANGE) };
  for (const name of ["text", "ground", "muted", "line", "train", "val", "warn"]) colors[name] = of(name);
  return colors;
}

const axis = (colors, title, more) => ({
  title: { text: title, standoff: 6, font: { size: 12 } }, gridcolor: colors.line, linecolor: colors.line, zeroline: false,
  tickfont: { size: 11 }, automargin: false, fixedrange: false, nticks: 6, ...more,
});

function layout(colors, margin, more) {
  return {
    margin, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: "zoom",
    font: { family: colors.font, size: 11, color: colors.text }, hoverdistance: 40,
    hoverlabel: { bgcolor: colors.ground, bordercolor: colors.line, font: { color: colors.text, size: 12 } }, ...more,
  };
}

const curve = (points, name, line, more) => ({
  type: "scatter", mode: "lines", ...points, name, line, hovertemplate: "%{y:.4~g}", ...more,
});

/** A name as Plotly draws it letter by letter: tags, entities and places in it do nothing. As core/figures/literal.py. */
export const literal = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/%\{/g, "%&#123;");

/** Train (faint, and smoothed) and validation of one measure; `scale` 100 shows shares as percent.
 *  `floor`: what the training loss of smoothed or mixed labels cannot fall below, while the other curve can. */
export function curveFigure(stage, measure, { title, scale = 1, log = false, range, marks = [], floor }, shown) {
  const { colors, words } = stage;
  const of = (name) => stage.series[`${name}/${measure}`] ?? new Series();
  const train = of("train"), val = of("val");
  const times = (values) => (scale === 1 ? values : values.map((v) => (v === null ? v : v * scale)));
  const values = times(train.values), even = smoothed(train, Math.min(50, Math.max(6, stage.status.steps / 60)));
  const checks = thin(val.steps, times(val.values), shown);
  const traces = [
    curve(thin(train.steps, values, shown), floor?.name ?? words.train, { color: colors.train, width: 1 }, { opacity: 0.35 }),
    curve(thin(even.steps, times(even.values), shown), words.train_smooth, { color: colors.train, width: 2 }),
    curve(checks, words.validation, { color: colors.val, width: 1.5, dash: "dot" },
      { mode: checks.x.length > 80 ? "lines" : "lines+markers", marker: { size: 6, color: colors.val } }),
  ];
  return {
    traces,
    layout: layout(colors, { l: 48, r: 12, t: 16, b: 38 }, {
      hovermode: "x unified",
      xaxis: axis(colors, words.step, { range: stage.span(), showspikes: false }),
      yaxis: axis(colors, title, {
        type: log ? "log" : "linear", uirevision: `${stage.run}${log}`, rangemode: log ? "normal" : "tozero",
        ...(range ? { range } : traces.some((t) => t.x.length) ? {} : { range: [0, 2.5] }),
        ...(log ? { tickvals: DECADES, ticktext: DECADES.map((v) => `${v}`) } : {}), // not one digit for every 2 … 9
      }),
      shapes: [...marks.map((m) => ({
        type: "line", x0: m.step, x1: m.step, y0: 0, y1: 1, yref: "paper",
        line: { color: m.bad ? colors.warn : colors.muted, width: 1.5, dash: "dot" },
      })), ...(floor ? [{
        type: "line", x0: 0, x1: 1, xref: "paper", y0: floor.value, y1: floor.value, line: { color: colors.train, width: 1, dash: "dash" },
      }] : [])],
      annotations: [...(floor ? [{
        x: 1, xref: "paper", xanchor: "right", y: log ? Math.log10(floor.value) : floor.value, yanchor: "top", text: floor.text,
        showarrow: false, bgcolor: colors.ground, font: { size: 11, color: colors.text }, captureevents: false,
      }] : []), ...marks.map((m, i) => ({
        x: m.step, y: 1, yref: "paper", yanchor: "bottom", yshift: -1 - 13 * (m.row ?? 0), text: literal(m.text), showarrow: false,
        xanchor: m.late ? "right" : "left", xshift: m.late ? -3 : 3, bgcolor: m.row ? colors.ground : undefined,
        font: { size: 11, color: m.bad ? colors.warn : colors.muted }, captureevents: false,
      }))],
    }),
  };
}

/** Layers down, steps across, colour = the value's power of ten. */
export function heatFigure(stage, family, { title, hover }) {
  const { colors, words } = stage;
  const rows = stage.rowsOf(family), all = rows.map((name) => stage.series[`${family}/${name}`] ?? new Series());
  const longest = all.reduce((a, b) => (b.steps.length > a.steps.length ? b : a), new Series()).steps;
  const width = Math.max(1, Math.ceil(longest.length / COLUMNS));
  const x = longest.filter((_, i) => i % width === 0);
  const z = all.map((series) => meanLogs(series, x));
  const flat = z.flat().filter((v) => v !== null);
  const low = flat.length ? Math.floor(Math.min(...flat)) : -4;
  const high = flat.length ? Math.max(low + 1, Math.ceil(Math.max(...flat))) : 0;
  const powers = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((p) => (p - low) % Math.ceil((high - low) / 5) === 0);
  const short = (name) => (name.length > 13 ? `${name.slice(0, 8)}…${name.slice(-4)}` : name);
  const left = Math.min(112, 30 + 6.2 * Math.max(4, ...rows.map((name) => short(name).length)));
  return {
    traces: [{
      type: "heatmap", x: x.length ? x : [0], y: rows.map((_, i) => i), z: x.length ? z : rows.map(() => [null]),
      customdata: z.map((row, i) => row.map((v) => [literal(rows[i]), v === null ? null : 10 ** v])),
      zmin: low, zmax: high, colorscale: colors.sequential.map((c, i, all) => [i / (all.length - 1), c]), zsmooth: false,
      hoverongaps: false, hovertemplate: hover, showscale: true,
      colorbar: {
        thickness: 9, outlinewidth: 0, x: 1.02, xpad: 4, ypad: 0, len: 1, tickvals: powers, tickfont: { size: 11 },
        ticktext: powers.map((p) => `10<sup>${p}</sup>`), title: { text: title, side: "right", font: { size: 12 } },
      },
    }],
    layout: layout(colors, { l: left, r: 62, t: 12, b: 38 }, {
      hovermode: "closest",
      xaxis: axis(colors, words.step, { range: stage.span(), showgrid: false, nticks: 4 }),
      yaxis: axis(colors, words.layer, {
        range: [Math.max(rows.length, 1) - 0.5, -0.5], showgrid: false, title: { text: words.layer, font: { size: 12 }, standoff: 4 },
        ...(rows.length <= 16 ? { tickvals: rows.map((_, i) => i), ticktext: rows.map((name) => literal(short(name))) }
          : { tickvals: rows.map((_, i) => i).filter((i) => i % Math.ceil(rows.length / 12) === 0),
            ticktext: rows.filter((_, i) => i % Math.ceil(rows.length / 12) === 0).map((name) => literal(short(name))) }),
      }),
    }),
  };
}

function meanLogs(series, starts) {
  let i = 0;
  return starts.map((start, column) => {
    const end = starts[column + 1] ?? Infinity;
    let sum = 0, n = 0;
    for (; i < series.steps.length && series.steps[i] < end; i++) {
      if (series.values[i] > 0 && Number.isFinite(series.values[i])) { sum += Math.log10(series.values[i]); n++; }
    }
    return n ? sum / n : null;
  });
}

let plotly;
/** Plotly once per page, however many stages there are. */
export function loadPlotly() {
  return plotly ??= new Promise((done, failed) => {
    if (window.Plotly) return done(window.Plotly);
    const script = document.createElement("script");
    script.src = new URL("./plotly.min.js", import.meta.url);
    script.onload = () => done(window.Plotly);
    script.onerror = failed;
    document.head.append(script);
  });
}

/** A place where a figure is drawn again and again. */
export class Chart {
  dirty = true;
  cost = 0;
  drawn = -Infinity;

  constructor(place, figure, again) {
    Object.assign(this, { place, figure, again });
    place.tabIndex = 0;
    place.setAttribute("role", "img");
    place.setAttribute("aria-keyshortcuts", "+ - ArrowLeft ArrowRight 0");
    place.addEventListener("keydown", (event) => this.key(event));
    place.addEventListener("pointerdown", () => (this.held = true)); // a redraw in the middle of a drag would end it
    this.release = () => { this.held = false; };
    window.addEventListener("pointerup", this.release);
    place.addEventListener("pointermove", (event) => (this.pointer = event));
    place.addEventListener("pointerleave", () => (this.pointer = null));
  }

  /** Milliseconds until it may be drawn; a slow machine draws less often, so that the page stays free. */
  get due() { return this.drawn + Math.max(SLOWEST, 6 * this.cost) - performance.now(); }

  get visible() { return this.place.offsetWidth > 0; }

  draw() {
    if (this.held || !this.visible || !window.Plotly) return false;
    const start = performance.now(), { place } = this;
    const { traces, layout } = this.figure(this.zoom);
    layout.width = place.clientWidth;
    layout.height = place.clientHeight;
    layout.uirevision ??= this.revision?.() ?? 1;
    window.Plotly.react(place, traces, layout, { displayModeBar: false, scrollZoom: false, doubleClick: "reset" });
    if (!this.wired) {
      this.wired = true;
      place.on("plotly_relayout", (change) => this.relayout(change));
    }
    if (this.pointer) this.hoverAgain();
    this.cost = this.cost ? 0.7 * this.cost + 0.3 * (performance.now() - start) : 5;
    this.drawn = performance.now();
    this.dirty = false;
    return true;
  }

  /** A redraw takes the hover label away; the pointer has not moved, so say that it has. */
  hoverAgain() {
    const { clientX, clientY } = this.pointer;
    this.place.querySelector(".nsewdrag")?.dispatchEvent(new MouseEvent("mousemove", { clientX, clientY, bubbles: true }));
  }

  /** Zoomed in, the thinned curve is made of the shown steps only, so that detail comes back. */
  relayout(change) {
    if (change["xaxis.range[0]"] !== undefined) this.zoom = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    else if (change["xaxis.range"]) this.zoom = change["xaxis.range"];
    if (change["xaxis.autorange"] || change.reset) this.zoom = undefined;
    this.dirty = true;
    this.again();
  }

  key(event) {
    const [low, high] = this.place.layout?.xaxis?.range ?? [];
    const middle = (low + high) / 2, half = (high - low) / 2;
    const range = { "+": [middle - half / 2, middle + half / 2], "-": [middle - 2 * half, middle + 2 * half],
      ArrowLeft: [low - half / 2, high - half / 2], ArrowRight: [low + half / 2, high + half / 2], 0: this.home?.() }[event.key];
    if (!range || event.target !== this.place) return;
    event.preventDefault();
    window.Plotly.relayout(this.place, { "xaxis.range": range, ...(event.key === "0" ? { reset: true } : {}) });
  }

  destroy() {
    window.removeEventListener("pointerup", this.release);
    window.Plotly?.purge(this.place);
  }
}
