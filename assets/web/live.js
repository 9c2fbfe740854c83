// The live stage of a run. Python mounts it once and says which run, sample and layer; everything that changes while the
// run goes on comes over one WebSocket, so a rerun of the page never carries a curve.
import { Chart, Series, curveFigure, heatFigure, loadPlotly, palette } from "./charts.js";
import { legend, number, paintSample, paintView, tokenText, valueAt } from "./frames.js";
import { listen, refusal } from "./socket.js";

const stages = new WeakMap();
const record = (window.__layerlab ??= { mounts: 0, latencies: [], rows: 0, draws: 0, gaps: 0, reconnects: 0, lastStep: -1, frames: [] });
const ENDED = ["finished", "stopped", "failed"];
const TABLE_ROWS = 200, REMEMBERED = 4000; // frames that `record` has the step and the right answers of

/** Called by Streamlit at the mount and again at every change of the data. */
export async function mount(component) {
  await styled();
  let stage = stages.get(component.parentElement);
  if (!stage) stages.set(component.parentElement, (stage = new Stage(component)));
  stage.update(component);
  // Streamlit keeps only the newest cleanup and may call one between two updates: gone is what left the document.
  return () => setTimeout(() => {
    if (stage.root.isConnected) return;
    stages.delete(component.parentElement);
    stage.destroy();
  }, 300);
}

let sheet;
function styled() {
  return sheet ??= new Promise((done) => {
    const link = el("link", { rel: "stylesheet", href: new URL("./live.css", import.meta.url).href, onload: done, onerror: done });
    document.head.append(link);
  });
}

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in node) node[name] = value; else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const fill = (words, values) => words.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const percent = (v) => `${Math.round(100 * v)} %`;

/** A framed place with a title, its tools, and behind the picture the same numbers as a table. */
class Panel {
  constructor(stage, name, title, { tools = [], numbers }) {
    Object.assign(this, { stage, name, numbers });
    this.title = typeof title === "string" ? el("h3", {}, title) : title;
    this.body = el("div", { className: "ll-body" });
    this.sheet = el("div", { className: "ll-sheet", hidden: true, tabIndex: 0 });
    this.toggle = el("button", { type: "button", "aria-pressed": "false", onclick: () => this.flip() }, stage.words.table);
    const csv = el("button", { type: "button", title: stage.words.csv_help, onclick: () => this.download() }, stage.words.csv);
    const bar = el("div", { className: "ll-tools" }, ...tools, this.toggle, csv);
    this.root = el("section", { className: `ll-panel ll-${name}` }, el("header", {}, this.title, bar), this.body, this.sheet);
    this.root.setAttribute("aria-label", typeof title === "string" ? title : stage.words[name]);
  }

  flip() {
    this.sheet.hidden = !this.sheet.hidden;
    this.body.style.visibility = this.sheet.hidden ? "" : "hidden"; // keeps its size, so that nothing jumps
    this.toggle.setAttribute("aria-pressed", String(!this.sheet.hidden));
    this.fillSheet();
  }

  fillSheet() {
    if (this.sheet.hidden) return;
    const { columns, rows } = this.numbers();
    const key = `${rows.length} ${rows[rows.length - 1]} ${columns} ${this.newestFirst || this.stage.frame?.step}`;
    if (key === this.shown) return; // nothing new: keep the reader's selection
    this.shown = key;
    const cell = (v) => el("td", {}, typeof v === "number" ? number(v) : String(v ?? ""));
    const newest = this.newestFirst ? rows.slice(-TABLE_ROWS).reverse() : rows.slice(0, TABLE_ROWS);
    this.sheet.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...columns.map((c) => el("th", { scope: "col" }, c)))),
      el("tbody", {}, ...newest.map((row) => el("tr", {}, ...row.map(cell))))));
    if (rows.length > TABLE_ROWS) this.sheet.append(el("p", {}, fill(this.stage.words.more_in_csv, { n: rows.length })));
    if (this.newestFirst && this.stage.thinned) this.sheet.append(el("p", {}, fill(this.stage.words.thinned, { n: number0(this.stage.thinned) })));
  }

  download() {
    const { columns, rows } = this.numbers(true);
    const quoted = (v) => (/[",\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : String(v ?? ""));
    const text = [columns, ...rows].map((row) => row.map(quoted).join(",")).join("\n");
    const href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    el("a", { href, download: `${this.stage.run ?? "layerlab"}-${this.name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  }
}

class Stage {
  run = undefined;
  pending = { sample: [], layer: [] };

  constructor({ parentElement, data }) {
    record.mounts++;
    this.words = data.words;
    this.layers = data.layers;
    this.root = el("div", { className: "ll-live" });
    this.root.style.setProperty("--ll-height", `${data.height}px`);
    this.root.append(el("i", { className: "ll-probe", hidden: true }));
    parentElement.append(this.root);
    this.clear();
    this.colors = palette(this.root);
    this.build();
    this.resized = new ResizeObserver(() => this.restyle());
    this.resized.observe(this.root);
    this.pulse = setInterval(() => this.each(), 1000);
    loadPlotly().then(() => this.restyle());
  }

  // ---- what Python says -------------------------------------------------------------------------------------------

  update({ data, setStateValue }) {
    this.tell = setStateValue;
    Object.assign(this.words, data.words); // a still of an old run calls itself otherwise than the run that follows it
    this.layers = data.layers;
    this.caption = data.caption;
    this.floor = data.floor;
    this.root.classList.toggle("ll-no-accuracy", !data.accuracy);
    if (data.run !== this.run) {
      this.run = data.run;
      this.sample = data.sample;
      this.layer = data.layer;
      this.given = { sample: data.sample, layer: data.layer };
      this.pending = { sample: [], layer: [] };
      this.listen();
    } else if (["sample", "layer"].filter((name) => this.takes(name, data[name])).length) this.watch();
    this.restyle();
  }

  /** A rerun that was under way when the reader chose again brings the older choice: it is not news. */
  takes(name, value) {
    if (value === this.given[name]) return false;
    this.given[name] = value;
    const at = this.pending[name].indexOf(value);
    this.pending[name].splice(0, at + 1);
    if (at >= 0 || value === this[name]) return false;
    this[name] = value;
    return true;
  }

  choose(name, value) {
    if (value === this[name] || !this.run) return;
    this[name] = value;
    this.pending[name].push(value);
    this.watch();
    this.tell(name, value);
  }

  watch() {
    this.feed?.send({ watch: { sample: this.sample, ...(this.layer ? { layer: this.layer } : {}) } });
    this.newFrame = true;
    this.schedule();
  }

  // ---- what the run says ------------------------------------------------------------------------------------------

  clear() {
    this.forget();
    this.status = { state: "", step: 0, steps: 0, words: "" };
    this.frame = this.view = this.pictureKey = this.told = undefined;
    this.lost = "";
  }

  /** The numbers, as before the first row. */
  forget() {
    this.series = {};
    this.bad = this.clock = this.stride = this.thinned = undefined;
    this.fresh = [];
    this.status = { ...this.status, step: 0 };
    Object.assign(record, { latencies: [], rows: 0, gaps: 0, lastStep: -1, frames: [] });
  }

  listen() {
    this.feed?.close();
    this.feed = undefined;
    this.clear();
    this.chooser.replaceChildren();
    this.grid.replaceChildren();
    for (const chart of this.charts) chart.zoom = undefined;
    if (this.run) {
      this.lost = "connecting";
      this.feed = listen(this.run, {
        onOpen: (again) => {
          this.lost = "";
          this.since = Date.now() / 1000; // older rows are history: their age is not a delay of ours
          record.reconnects += again;
          this.watch();
        },
        onLost: (unknown, code) => {
          this.refused = refusal(code, this.words);
          this.lost = this.refused ? "refused" : unknown ? "unknown" : "lost";
          this.schedule();
        },
        onVoid: () => this.forget(),
        onRows: (rows, message) => this.take(rows, message),
        onState: (state) => { this.status = { ...this.status, ...state }; this.told = true; this.redraw(); },
        onFrame: (frame) => { this.frame = frame; this.newFrame = true; this.schedule(); },
      });
    }
    this.newFrame = true;
    this.redraw();
  }

  /** `thinned`: how many rows these stand for, at the beginning of a long run; `smooth`: the smoothed curves of them all. */
  take(rows, { thinned, smooth = {} } = {}) {
    this.thinned = thinned ?? this.thinned;
    for (const [name, past] of Object.entries(smooth)) (this.series[name] ??= new Series()).past = past;
    for (const { step, time, values, status } of rows) {
      if (status && !this.told) this.status = { ...this.status, ...status, step };
      let news = false;
      for (const [name, value] of Object.entries(values ?? {})) news = this.add(name, step, Number(value)) || news;
      if (!news) continue;
      record.rows++;
      record.lastStep = Math.max(record.lastStep, step);
      this.status.step = Math.max(this.status.step, step);
      if (values["train/loss"] !== undefined && time >= this.since) this.fresh.push(time * 1000);
      if (values["train/loss"] !== undefined) this.clockIn(step, time);
    }
    if (thinned) this.stride = undefined; // what is missing was not lost
    this.redraw();
  }

  /** true for a number that is new. The events' non-numbers come as words ("nan", "inf"). */
  add(name, step, value) {
    const series = (this.series[name] ??= new Series()), before = series.steps[series.steps.length - 1];
    if (!series.add(step, value)) return false;
    if (name === "train/loss") {
      if (before !== undefined && step - before > (this.stride ?? Infinity)) record.gaps++;
      if (before !== undefined && step > before) this.stride = Math.min(this.stride ?? Infinity, step - before);
      if (!Number.isFinite(value)) this.bad ??= step;
    }
    return true;
  }

  clockIn(step, time) {
    this.clock = (this.clock ?? []).filter((at) => at.step < step && time - at.time < 8);
    this.clock.push({ step, time });
  }

  /** The whole length of the run from the start on, so that the axis stands still. */
  span() { return [0, 1.01 * Math.max(this.status.steps || 0, this.status.step, this.run ? 10 : 100)]; }

  rowsOf(family) {
    const there = Object.keys(this.series).filter((name) => name.startsWith(`${family}/`)).map((name) => name.slice(family.length + 1));
    const place = (name) => (this.layers.includes(name) ? this.layers.indexOf(name) : this.layers.length);
    return there.length ? there.sort((a, b) => place(a) - place(b) || a.localeCompare(b, "en", { numeric: true })) : this.layers;
  }

  /** Changes made by hand, and the step at which the loss left the numbers. */
  marks() {
    const found = [];
    for (const field of ["lr", "weight_decay", "clip_norm"]) {
      const { steps = [], values } = this.series[`set/${field}`] ?? {};
      steps.forEach((step, i) => found.push({ step, text: `${this.words[`set_${field}`]} ${number(values[i])}` }));
    }
    const best = this.series["best/step"]?.last; // the smallest validation loss so far, whose weights are kept
    if (best !== undefined) found.push({ step: best, text: fill(this.words.best, { step: number0(best) }) });
    if (this.bad !== undefined) found.push({ step: this.bad, text: this.words.not_finite, bad: true });
    const span = this.span()[1];
    return found.sort((a, b) => a.step - b.step).map((mark, i, all) => {
      const before = all[i - 1];
      mark.row = before && mark.step - before.step < 0.3 * span ? (before.row + 1) % 4 : 0; // labels that would overlap go down a row
      return Object.assign(mark, { late: mark.step > 0.75 * span });
    });
  }

  // ---- building ---------------------------------------------------------------------------------------------------

  build() {
    const { words } = this;
    this.buildStatus();
    const log = el("button", { type: "button", "aria-pressed": "false", title: words.log_help, onclick: () => {
      this.log = !this.log;
      log.setAttribute("aria-pressed", String(this.log));
      this.redraw();
    } }, words.log);
    const loss = this.curves("loss", words.loss, [log], () => ({ title: words.loss_axis, log: this.log, marks: this.marks(), floor: this.floor }));
    const accuracy = this.curves("accuracy", words.accuracy, [],
      () => ({ title: words.accuracy_axis, scale: 100, range: [0, 102] }));
    this.panels = [loss, accuracy, this.buildHeat(), this.buildView(), this.buildPictures()];
    this.charts = this.panels.map((panel) => panel.chart).filter(Boolean);
    for (const chart of this.charts) {
      chart.revision = () => this.run ?? "none";
      chart.home = () => this.span();
    }
    this.root.append(this.statusRoot, ...this.panels.map((panel) => panel.root));
  }

  curves(measure, title, tools, options) {
    const { words } = this, names = ["train", "val"];
    const key = el("span", { className: "ll-key", "aria-hidden": "true" }, el("i", { className: "ll-train" }), words.train,
      el("i", { className: "ll-val" }), words.validation);
    const panel = new Panel(this, measure, title, { tools: [key, ...tools], numbers: () => {
      const of = names.map((name) => this.series[`${name}/${measure}`] ?? new Series()), rows = new Map();
      of.forEach((series, k) => series.steps.forEach((step, i) => {
        if (!rows.has(step)) rows.set(step, [step, "", ""]);
        rows.get(step)[k + 1] = series.values[i];
      }));
      return { columns: [words.step, words.train, words.validation], rows: [...rows.values()].sort((a, b) => a[0] - b[0]) };
    } });
    panel.newestFirst = true;
    panel.chart = new Chart(panel.body, (shown) => curveFigure(this, measure, options(), shown), () => this.schedule());
    panel.alt = () => {
      const [train, val] = names.map((name) => this.series[`${name}/${measure}`]?.last);
      const said = (v) => (v === undefined ? "–" : measure === "accuracy" ? percent(v) : number(v));
      return train === undefined ? `${title}. ${words.nothing_yet}`
        : fill(words.alt_curve, { name: title, step: this.status.step, train: said(train), val: said(val) });
    };
    return panel;
  }

  buildHeat() {
    const { words } = this, families = ["grad_norm", "update_ratio"];
    this.family = families[0];
    const tabs = families.map((family) => el("button", { type: "button", role: "tab", title: words[`${family}_help`],
      onclick: () => pick(family), onkeydown: (event) => {
        if (!event.key.startsWith("Arrow")) return;
        pick(families[1 - families.indexOf(this.family)]);
        tabs[families.indexOf(this.family)].focus();
      } }, words[family]));
    const pick = (family) => {
      this.family = family;
      tabs.forEach((tab, i) => {
        tab.setAttribute("aria-selected", String(families[i] === family));
        tab.tabIndex = families[i] === family ? 0 : -1;
      });
      if (this.panels) this.redraw();
    };
    pick(this.family);
    const panel = new Panel(this, "heat", el("div", { className: "ll-tabs", role: "tablist" }, ...tabs), { numbers: () => {
      const names = this.rowsOf(this.family), rows = new Map();
      names.forEach((name, k) => this.series[`${this.family}/${name}`]?.steps.forEach((step, i) => {
        if (!rows.has(step)) rows.set(step, [step, ...names.map(() => "")]);
        rows.get(step)[k + 1] = this.series[`${this.family}/${name}`].values[i];
      }));
      return { columns: [words.step, ...names], rows: [...rows.values()].sort((a, b) => a[0] - b[0]) };
    } });
    panel.newestFirst = true;
    panel.chart = new Chart(panel.body, () => heatFigure(this, this.family,
      { title: words[`${this.family}_axis`], hover: words[`${this.family}_hover`] }), () => this.schedule());
    panel.alt = () => {
      const last = this.rowsOf(this.family).map((name) => [name, this.series[`${this.family}/${name}`]?.last ?? NaN]);
      const known = last.filter(([, v]) => Number.isFinite(v)).sort((a, b) => a[1] - b[1]), top = known[known.length - 1];
      return top ? fill(words.alt_heat, { name: words[this.family], step: this.status.step, low_layer: known[0][0],
        low: number(known[0][1]), high_layer: top[0], high: number(top[1]) }) : `${words[this.family]}. ${words.nothing_yet}`;
    };
    return panel;
  }

  buildView() {
    const { words } = this;
    this.chooser = el("select", { "aria-label": words.layer, onchange: () => this.choose("layer", this.chooser.value) });
    this.about = el("span", { className: "ll-about" });
    const title = el("h3", {}, this.chooser);
    const panel = new Panel(this, "view", title, { numbers: (all) => this.viewNumbers(all) });
    this.canvas = el("canvas", { tabIndex: 0, role: "img", onpointermove: (event) => this.point(event),
      onpointerleave: () => this.mark(null), onblur: () => this.mark(null), onkeydown: (event) => this.walk(event) });
    this.tip = el("div", { className: "ll-tip", hidden: true, role: "status" });
    this.cell = el("div", { className: "ll-cell", hidden: true });
    this.axes = el("span");
    this.scale = el("span", { className: "ll-scale" }, el("span"), el("i"), el("span"));
    this.hint = el("p", { className: "ll-empty" }, words.view_empty);
    panel.body.append(this.about, el("div", { className: "ll-canvas" }, this.canvas, this.cell, this.tip, this.hint),
      el("footer", {}, this.axes, this.scale));
    panel.alt = () => (this.frame?.arrays.view ? `${this.chooser.value}: ${this.about.textContent}. ${this.axes.textContent}`
      : words.view_empty);
    panel.speaker = this.canvas;
    return panel;
  }

  buildPictures() {
    const { words } = this;
    this.grid = el("div", { className: "ll-grid", role: "group", "aria-label": words.pictures });
    this.gridHint = el("p", { className: "ll-empty" }, words.pictures_empty);
    this.score = el("span", { className: "ll-about" });
    const title = el("h3", {}, words.pictures, this.score);
    const panel = new Panel(this, "pictures", title, { numbers: () => {
      const { arrays = {}, meta = {} } = this.frame ?? {}, n = meta.indices?.length ?? 0;
      return { columns: [words.sample, words.target, words.predicted, words.confidence],
        rows: Array.from({ length: n }, (_, i) => {
          const { target, guess } = this.answer(i);
          return [String(meta.indices[i]), target, guess, arrays.confidence?.data[i] ?? ""];
        }) };
    } });
    panel.body.append(this.grid, this.gridHint);
    return panel;
  }

  buildStatus() {
    const part = (name) => (this[name] = el("span", { className: `ll-fact ll-fact-${name}` }));
    this.bar = el("progress", { max: 1, value: 0, "aria-label": this.words.progress });
    this.say = el("p", { className: "ll-words", role: "status" });
    this.alarm = el("p", { className: "ll-words ll-alarm", role: "alert" });
    this.statusRoot = el("div", { className: "ll-status" },
      el("div", { className: "ll-facts" }, ...["state", "steps"].map(part), this.bar, ...["left", "speed", "device", "threads", "memory"].map(part)),
      this.say, this.alarm);
  }

  // ---- drawing: at most once per animation frame, whatever has come in the meantime ---------------------------------

  redraw() {
    for (const chart of this.charts) chart.dirty = true;
    this.schedule();
  }

  schedule() { this.request ??= requestAnimationFrame(() => this.draw()); }

  draw() {
    this.request = undefined;
    this.showStatus();
    if (this.newFrame) this.showFrame();
    const dirty = this.charts.filter((chart) => chart.dirty && chart.visible), ready = dirty.filter((chart) => chart.due <= 0);
    if (ready.length && this.paint(ready.sort((a, b) => a.due - b.due)[0]) && dirty.length > 1) return this.schedule();
    const rest = dirty.filter((chart) => chart.dirty);
    if (rest.length) {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.schedule(), Math.max(16, Math.min(...rest.map((chart) => chart.due))));
    }
  }

  /** One chart per animation frame: three in one would be felt. The delay is taken in the frame after the drawing. */
  paint(chart) {
    const times = chart === this.charts[0] ? this.fresh : [];
    if (!chart.draw()) return false;
    record.draws++;
    record.cost = Math.max(...this.charts.map((c) => c.cost));
    if (times.length) {
      this.fresh = [];
      requestAnimationFrame(() => {
        record.latencies.push(...times.map((time) => Date.now() - time));
        record.latencies.splice(0, record.latencies.length - 500);
      });
    }
    return true;
  }

  /** Once a second: what may be late (alt texts, an open table, the theme, the time left). */
  each() {
    this.beat = (this.beat ?? 0) + 1;
    if (JSON.stringify(palette(this.root)) !== JSON.stringify(this.colors)) this.restyle();
    for (const panel of this.panels) {
      panel.fillSheet();
      if (panel.alt && this.beat % 2) (panel.speaker ?? panel.body).setAttribute("aria-label", panel.alt());
    }
    this.showStatus();
  }

  restyle() {
    this.root.classList.toggle("ll-narrow", this.root.clientWidth < 640);
    this.colors = palette(this.root);
    this.newFrame = true;
    this.pictureKey = undefined;
    this.redraw();
  }

  // ---- the status line --------------------------------------------------------------------------------------------

  /** When a run that waits is expected to begin; as exact as core.engine.waiting_time.rounded says it elsewhere. */
  untilItBegins() {
    const { wait } = this.status;
    if (wait === null || wait === undefined) return this.words.wait_unknown;
    const [unit, size] = wait < 55 ? ["second", 1] : wait < 3300 ? ["minute", 60] : ["hour", 3600];
    const n = size === 1 ? Math.max(5, 5 * Math.round(wait / 5)) : Math.max(1, Math.round(wait / size));
    return fill(this.words[`wait_${unit}`], { n });
  }

  timeLeft() {
    const [first, last] = [this.clock?.[0], this.clock?.[this.clock.length - 1]];
    if (this.status.state !== "running" || !this.status.steps || !first || last.step <= first.step) return "";
    const seconds = Math.round(((this.status.steps - this.status.step) * (last.time - first.time)) / (last.step - first.step));
    const two = (n) => String(n).padStart(2, "0");
    const clock = seconds >= 3600 ? `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}` : two(Math.floor(seconds / 60));
    return fill(this.words.left, { time: `${clock}:${two(seconds % 60)}` });
  }

  showStatus() {
    const { status, words, frame } = this, last = (name) => this.series[name]?.last;
    const away = this.lost === "unknown" || this.lost === "refused";
    const state = this.run ? status.state || (away ? "away" : "connecting") : "none";
    put(this.state, state === "queued" && status.place ? fill(words.state_place, { place: status.place })
      : words[`state_${state}`] ?? state);
    this.statusRoot.dataset.state = state;
    put(this.steps, status.steps ? fill(words.step_of, { step: number0(status.step), steps: number0(status.steps) }) : "");
    this.bar.value = status.steps ? status.step / status.steps : 0;
    put(this.left, state === "queued" && status.place ? this.untilItBegins() : this.timeLeft());
    const speed = last("samples_per_second"), memory = last("memory"), threads = status.threads;
    put(this.speed, speed && !ENDED.includes(state) ? fill(words.speed, { n: number0(speed) }) : "");
    put(this.device, status.device ?? frame?.meta.device ?? "");
    put(this.threads, threads ? fill(threads === 1 ? words.thread : words.threads, { n: threads }) : "");
    put(this.memory, memory ? `${number0(memory / 1e6)} MB` : "");
    const failed = state === "failed" || away;
    const cut = { unknown: words.unknown_run, refused: this.refused, lost: words.lost }[this.lost];
    const said = cut ?? (status.words || this.caption || "");
    put(this.say, failed ? "" : said);
    put(this.alarm, failed ? said : "");
  }

  // ---- the frame --------------------------------------------------------------------------------------------------

  label(id) { return id === undefined ? "" : String(this.frame?.meta.classes?.[id] ?? id); }

  /** What sample i is and what the model says it is, in words, and how many of the steps that are asked are right: of a
      class one or none, of a class at every step some of them. A number is neither right nor wrong. */
  answer(i) {
    const { arrays: { targets, predicted }, meta } = this.frame;
    if (!predicted) return { target: this.label(targets?.data[i]), guess: "", short: "", right: 0, asked: 0 };
    if (meta.task === "number") {
      const [target, guess] = [targets, predicted].map((array) => number(array.data[i]));
      return { target, guess, short: guess, right: 0, asked: 0 };
    }
    const steps = targets.shape[1] ?? 1, places = Array.from({ length: steps }, (_, k) => i * steps + k).filter((k) => targets.data[k] >= 0);
    const [target, guess] = [targets, predicted].map(({ data }) => places.map((k) => this.label(data[k])).join(""));
    const right = places.filter((k) => targets.data[k] === predicted.data[k]).length, asked = places.length;
    return { target, guess, short: targets.shape.length > 1 ? `${right}/${asked}` : guess, right, asked };
  }

  showFrame() {
    this.newFrame = false;
    const { frame } = this, names = frame?.meta.layers ?? this.layers;
    const key = names.join("\n");
    if (key !== this.chooser.dataset.key || !this.chooser.options.length) {
      this.chooser.dataset.key = key;
      this.chooser.replaceChildren(...names.map((name) => el("option", { value: name }, name)),
        ...(names.length ? [] : [el("option", { value: "" }, this.words.layer)]));
    }
    this.chooser.disabled = !this.run;
    this.chooser.value = this.layer || frame?.meta.layer || names[0] || "";
    this.showView(frame?.arrays.view && frame);
    this.showPictures(frame);
  }

  showView(frame) {
    this.hint.hidden = !!frame;
    this.scale.hidden = !frame;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!frame) return [this.about, this.axes].forEach((node) => put(node, ""));
    const { words } = this, { meta } = frame;
    this.view = paintView(this.canvas, frame, this.colors);
    const { shown, shape: [, h, w] } = this.view, count = Math.max(meta.total ?? 0, this.view.count);
    put(this.about, fill(words[`about_${meta.view}`], { n: number0(count), h, w, step: number0(frame.step) }));
    this.about.title = this.about.textContent;
    put(this.axes, words[`axes_${meta.view}`] + (meta.view !== "states" && meta.view !== "vector" && shown < count ? ` ${fill(words.first_of, { n: shown, count })}` : ""));
    const { gradient, ends: [low, zero, high] } = legend(meta, this.colors), [left, strip, right] = this.scale.children;
    strip.style.background = gradient;
    put(left, number(low));
    put(right, number(high));
    strip.title = zero === 0 ? words.scale_signed : words.scale_size;
    if (this.at) this.mark(this.at);
  }

  /** What stands under the pointer (or the arrow keys' cell), in numbers. */
  mark(at) {
    this.at = at && this.view ? at : null;
    this.tip.hidden = this.cell.hidden = !this.at;
    if (!this.at) return;
    const [tile, i, j] = at, [, h, w] = this.view.shape, value = number(valueAt(this.frame, (tile * h + i) * w + j));
    const text = fill(this.words[`hover_${this.frame.meta.view}`], { tile, i, j, value });
    const [left, top, width, height] = this.view.rect(at);
    Object.assign(this.cell.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    put(this.tip, text);
    const room = this.canvas.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(left, room))}px`;
    this.tip.style.top = `${top > 34 ? top - 30 : top + height + 6}px`;
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    this.mark(this.view?.find(event.clientX - box.left, event.clientY - box.top) ?? null);
  }

  walk(event) {
    const move = { ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], ArrowLeft: [0, 0, -1], ArrowRight: [0, 0, 1], PageUp: [-1, 0, 0],
      PageDown: [1, 0, 0] }[event.key];
    if (!move || !this.view) return;
    event.preventDefault();
    const most = [this.view.shown, this.view.shape[1], this.view.shape[2]];
    this.mark((this.at ?? [0, 0, 0]).map((v, k) => (v + move[k] + most[k]) % most[k]));
  }

  viewNumbers(all) {
    const { words, frame } = this;
    if (!frame?.arrays.view || !this.view) return { columns: [words.value], rows: [] };
    const [count, h, w] = this.view.shape, maps = frame.arrays.view.shape.length === 3, rows = [];
    if (maps && !all) { // on the page one line per map; the download has every value
      for (let t = 0; t < count; t++) {
        const values = Array.from({ length: h * w }, (_, i) => valueAt(frame, t * h * w + i));
        rows.push([t, Math.min(...values), values.reduce((a, b) => a + b, 0) / values.length, Math.max(...values)]);
      }
      return { columns: [words.map, words.least, words.mean, words.most], rows };
    }
    for (let t = 0; t < count; t++) for (let i = 0; i < h; i++) for (let j = 0; j < w; j++) {
      rows.push([...(maps ? [t] : []), ...(h > 1 || maps ? [i] : []), j, valueAt(frame, (t * h + i) * w + j)]);
    }
    return { columns: [...(maps ? [words.map] : []), ...(h > 1 || maps ? [words.row] : []), words.column, words.value], rows };
  }

  showPictures(frame) {
    const { words } = this, { arrays = {}, meta = {} } = frame ?? {}, indices = meta.indices ?? [];
    this.gridHint.hidden = indices.length > 0;
    const key = `${this.run} ${indices}`;
    if (key !== this.pictureKey) { // the pictures stay, their labels change
      this.pictureKey = key;
      this.grid.classList.toggle("ll-words-grid", !!arrays.tokens);
      this.grid.classList.toggle("ll-long-names", meta.classes?.some((name) => String(name).length > 3) ?? false);
      this.tiles = indices.map((sample, i) => {
        const face = arrays.tokens ? el("span", { className: "ll-chip" }, tokenText(arrays.tokens, i, meta.vocabulary)) : el("canvas");
        if (!arrays.tokens) paintSample(face, frame, i, this.colors);
        const [name, sure] = [el("b"), el("small")];
        const button = el("button", { type: "button", onclick: () => this.choose("sample", sample) }, face,
          el("span", { className: "ll-label" }, name, sure));
        return Object.assign(button, { sample, name_: name, sure });
      });
      const held = this.tiles.findIndex((_, i) => this.grid.children[i] === document.activeElement);
      this.grid.replaceChildren(...this.tiles);
      if (held >= 0) this.tiles[held].focus();
    }
    let right = 0, asked = 0;
    this.tiles.forEach((tile, i) => {
      const said = this.answer(i), sure = arrays.confidence?.data[i], current = tile.sample === this.sample;
      const wrong = said.asked === 1 && !said.right, way = wrong || said.asked > 1 ? "wrong" : said.asked ? "right" : "number";
      right += said.right;
      asked += said.asked;
      tile.className = `${wrong ? "ll-wrong" : ""} ${current ? "ll-current" : ""}`;
      tile.setAttribute("aria-pressed", String(current));
      put(tile.name_, wrong ? `✗ ${said.short}` : said.short);
      put(tile.sure, sure !== undefined ? percent(sure) : meta.task === "number" ? `(${said.target})` : "");
      tile.title = fill(words[`tile_${way}`], { sample: tile.sample, guess: said.guess, target: said.target,
        sure: tile.sure.textContent }) + (arrays.tokens ? `. ${tile.firstChild.textContent}` : "");
      tile.setAttribute("aria-label", tile.title);
    });
    put(this.score, asked ? fill(words.score, { right, n: asked }) : "");
    if (frame && frame !== this.noted) this.note(frame, right);
  }

  /** For tests and measurements: each frame that was drawn, how far the curves were then, and what the run was doing. */
  note(frame, right) {
    this.noted = frame;
    record.frames.push({ step: frame.step, right, drawn: record.lastStep, state: this.status.state, at: performance.now(),
      maps: frame.arrays.view?.data.reduce((sum, v, i) => (31 * sum + v + i) | 0, 0) });
    record.frames.splice(0, record.frames.length - REMEMBERED);
  }

  destroy() {
    this.feed?.close();
    clearInterval(this.pulse);
    clearTimeout(this.later);
    cancelAnimationFrame(this.request);
    this.resized.disconnect();
    for (const chart of this.charts) chart.destroy();
  }
}

const number0 = (v) => v.toLocaleString(undefined, { maximumFractionDigits: 0 });
