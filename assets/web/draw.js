// The pad and what a network makes of what is drawn on it. Python mounts it once and says which run, moment and layer;
// every stroke is answered over the door's /look while it is drawn, so a rerun of the page never carries a picture.
import { palette } from "./charts.js";
import { legend, number, paintSample, paintView, valueAt } from "./frames.js";
import { Ink, SIDE, packed, unpacked } from "./pad.js";
import { el, fill } from "./parts.js";
import { decodeFrame, refusal } from "./socket.js";

const parts = new WeakMap();
const record = (window.__layerlabDraw ??= { mounts: 0, asked: 0, answered: 0, inFlight: 0, mostInFlight: 0, strokes: [], reruns: 0 });
const LIVE = 60; // least milliseconds between two questions while a stroke goes on
const TOLD = 500; // milliseconds of rest after which the page is told of the drawing
const BARS = 10;
const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const percent = (v) => `${(100 * v).toLocaleString(undefined, { maximumFractionDigits: v > 0.0995 && v < 0.995 ? 0 : 1 })} %`;

/** Called by Streamlit at the mount and again at every change of the data. */
export async function mount(component) {
  await styled();
  let part = parts.get(component.parentElement);
  if (!part) parts.set(component.parentElement, (part = new Draw(component)));
  part.show(component);
  return () => setTimeout(() => { // Streamlit may call a cleanup between two updates: gone is what left the document
    if (part.root.isConnected) return;
    parts.delete(component.parentElement);
    part.leave();
  }, 300);
}

let style;
function styled() {
  return style ??= new Promise((done) => {
    const link = el("link", { rel: "stylesheet", href: new URL("./draw.css", import.meta.url).href, onload: done, onerror: done });
    document.head.append(link);
  });
}

/** One question under way at a time over one socket, which comes back after a cut. */
class Line {
  async ask(question) {
    const socket = await this.open();
    if (!socket) return this.refused;
    record.asked++;
    record.mostInFlight = Math.max(record.mostInFlight, ++record.inFlight);
    const answer = await new Promise((done) => {
      this.done = done;
      socket.send(JSON.stringify(question));
    });
    record.inFlight--;
    return answer ?? this.refused;
  }

  open() {
    if (this.socket?.readyState === WebSocket.OPEN) return this.socket;
    const url = new URL("../look", import.meta.url); // the door may stand under a base path; this file does too
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.done?.(typeof data === "string" ? JSON.parse(data) : decodeFrame(data));
    return new Promise((ready) => {
      socket.onopen = () => ready(socket);
      socket.onclose = ({ code }) => {
        const error = refusal(code, this.words);
        this.refused = error ? { error } : null;
        ready(null);
        this.done?.(null);
      };
    });
  }
}

class Draw {
  line = new Line();
  ink = new Ink();
  fits = true; // what the reader wants
  fit = true; // what is done: a picture that is as it should be already is left alone
  pending = []; // drawings that Python was told and has not said back
  cursor = [14, 14];

  constructor({ parentElement, data }) {
    record.mounts++;
    Object.defineProperty(record, "settled", { configurable: true, enumerable: true, get: () => this.settled });
    Object.assign(this, { words: data.words, data: {} });
    this.line.words = data.words;
    this.root = el("div", { className: "ld-draw" });
    this.root.style.setProperty("--ld-height", `${data.height}px`);
    this.root.append(el("i", { className: "ll-probe", hidden: true }), this.left(), this.middle(), this.right());
    parentElement.append(this.root);
    this.colors = palette(this.root);
    this.resized = new ResizeObserver(() => this.repaint());
    this.resized.observe(this.root);
    this.pulse = setInterval(() => this.restyle(), 1000);
  }

  leave() {
    clearInterval(this.pulse);
    this.resized.disconnect();
    this.line.socket?.close();
  }

  restyle() {
    const colors = palette(this.root);
    if (JSON.stringify(colors) === JSON.stringify(this.colors)) return;
    this.colors = colors;
    this.repaint();
  }

  // ---- what Python says -------------------------------------------------------------------------------------------

  async show({ data, setStateValue }) {
    record.reruns++;
    const before = this.data;
    Object.assign(this, { data, tell: setStateValue });
    if (data.layer !== before.layer) this.layer = data.layer;
    const names = data.layers.join();
    if (this.names !== names) this.chooser.replaceChildren(...data.layers.map((name) => el("option", { value: name }, name)));
    this.names = names;
    this.chooser.value = this.layer || data.layers[0];
    put(this.take, fill(this.words.take, { sample: data.sample }));
    if (data.drawn !== before.drawn && !this.echoed(data.drawn)) await this.given(data.drawn);
    if (["run", "step", "sample", "drawn", "layer"].some((name) => data[name] !== before[name])) this.want();
  }

  /** Is it what Python was told? */
  echoed(drawn) {
    const at = this.pending.lastIndexOf(drawn);
    this.pending.splice(0, at + 1);
    return at >= 0;
  }

  /** A drawing that came with the address. It is sent on as it is: a reload shows the same. */
  async given(drawn) {
    this.ink.clear();
    this.as = drawn;
    if (drawn) this.ink.put(await unpacked(drawn));
    this.fit = this.box.checked = this.fits && !drawn;
    this.paintPad();
  }

  // ---- asking -----------------------------------------------------------------------------------------------------

  /** The ink has changed: what it means is to be asked, and later Python to be told. */
  changed() {
    this.as = undefined;
    this.paintPad();
    this.want();
    clearTimeout(this.telling);
    this.telling = this.pen ? 0 : setTimeout(() => this.told(), TOLD);
  }

  async told() {
    const timer = this.telling, drawn = await this.text();
    if (drawn !== (this.pending.at(-1) ?? this.data.drawn)) {
      this.pending.push(drawn);
      this.tell("drawn", drawn);
    }
    if (this.telling === timer) this.telling = 0;
  }

  /** Is every stroke answered, and does Python know the drawing? */
  get settled() {
    return !(this.pen || this.asking || this.due || this.telling || this.pending.length);
  }

  picture() {
    return this.fit && this.habit ? this.ink.fitted(this.habit) : this.ink.raw();
  }

  async text() {
    return this.as ?? (this.ink.empty ? "" : packed(this.picture()));
  }

  /** The newest picture wins: what is asked next is what stands when the answer before has come. */
  want() {
    this.due = true;
    this.wake?.();
    if (!this.asking) this.alone(() => this.ask());
  }

  /** Nothing else is asked meanwhile; what was wanted meanwhile is asked then. */
  alone(act) {
    this.asking = act().finally(() => {
      this.asking = null;
      if (this.due) this.want();
    });
    return this.asking;
  }

  async ask() {
    for (let last = 0; this.due; ) {
      const rest = last + LIVE - performance.now();
      if (this.pen && rest > 0) await new Promise((done) => setTimeout((this.hurry = done), rest));
      this.due = false;
      last = performance.now();
      const ended = this.ended;
      this.ended = undefined;
      const { run, step, sample } = this.data;
      const answer = await this.line.ask({ run, step, sample, layer: this.layer || "", drawing: await this.text() });
      if (!answer) {
        put(this.trouble, this.words.lost);
        await new Promise((done) => setTimeout((this.wake = done), 1000));
        this.due = this.root.isConnected;
        this.ended ??= ended;
      } else await this.answered(answer, ended);
    }
  }

  async answered(answer, ended) {
    record.answered++;
    put(this.trouble, answer.error ?? "");
    if (answer.error) return;
    const { box, middle, blur } = answer.meta, first = !this.habit;
    this.habit = { box, middle, blur };
    if (first && !this.ink.empty && this.as === undefined) this.due = true; // it was not fitted yet
    this.frame = answer;
    await new Promise(requestAnimationFrame);
    this.repaint();
    if (this.pen) return;
    put(this.status, this.said());
    if (ended === undefined) return;
    await new Promise(requestAnimationFrame); // what was painted is on the screen by now
    record.strokes.push(performance.now() - ended);
  }

  // ---- the pad ----------------------------------------------------------------------------------------------------

  left() {
    const { words } = this;
    this.pad = el("canvas", { className: "ld-pad", tabIndex: 0, role: "application", "aria-label": words.pad });
    this.pad.setAttribute("aria-describedby", "ld-keys");
    this.pad.onpointerdown = (event) => this.down(event);
    this.pad.onpointermove = (event) => this.move(event);
    this.pad.onpointerup = this.pad.onpointercancel = (event) => this.up(event);
    this.pad.onkeydown = (event) => this.key(event);
    this.pad.onfocus = this.pad.onblur = () => this.paintPad();
    this.rubber = el("button", { type: "button", title: words.erase_help, onclick: () => this.flip() }, words.erase);
    this.rubber.setAttribute("aria-pressed", "false");
    this.brush = el("input", { type: "range", min: 1, max: 6, step: 0.5, value: 2.5, title: words.brush_help });
    const button = (name, act) => el("button", { type: "button", title: words[`${name}_help`], onclick: act }, words[name]);
    this.box = el("input", { type: "checkbox", checked: true, onchange: () => this.fitting((this.fits = this.box.checked)) });
    this.take = button("take", () => this.takeSample());
    return el("section", { className: "ld-left", "aria-label": words.pad }, this.pad,
      el("div", { className: "ld-tools" }, el("label", {}, words.brush, this.brush), this.rubber,
        button("undo", () => this.undo()), button("clear", () => this.clear())),
      el("label", { className: "ld-fit", title: words.fit_help }, this.box, words.fit),
      el("div", { className: "ld-tools" }, this.take),
      el("p", { id: "ld-keys", className: "ld-note" }, words.keys));
  }

  place({ clientX, clientY }) {
    const { left, top, width, height } = this.pad.getBoundingClientRect();
    return [((clientX - left) / width) * SIDE, ((clientY - top) / height) * SIDE];
  }

  down(event) {
    if (this.pen || event.button > 0) return;
    this.pad.setPointerCapture(event.pointerId);
    this.ink.keep();
    this.pen = { id: event.pointerId, at: this.place(event) };
    this.keyboard = false;
    this.stroke(event);
  }

  move(event) {
    if (this.pen?.id !== event.pointerId) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.stroke(one);
  }

  stroke(event) {
    const at = this.place(event), firm = event.pointerType === "pen" && event.pressure ? 0.4 + 1.2 * event.pressure : 1;
    this.ink.line(this.pen.at, at, Number(this.brush.value) * firm, this.erasing || Boolean(event.buttons & 32));
    this.pen.at = at;
    this.changed();
  }

  up(event) {
    if (this.pen?.id !== event.pointerId) return;
    this.pen = undefined;
    this.ended = performance.now();
    this.hurry?.();
    this.changed();
  }

  /** Arrows move the pen, Space puts it down or lifts it, Shift and an arrow move the whole picture. */
  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way && event.shiftKey) this.shift(...way);
    else if (way) this.walk(way);
    else if (event.key === " ") this.press();
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else return;
    event.preventDefault();
  }

  walk(way) {
    const from = this.cursor, inside = (v) => Math.min(SIDE - 0.5, Math.max(0.5, v));
    this.cursor = from.map((v, k) => inside(v + way[k]));
    this.keyboard = true;
    if (this.lowered) {
      this.ink.line(from, this.cursor, Number(this.brush.value), this.erasing);
      this.ended = performance.now();
      this.changed();
    } else this.paintPad();
  }

  press() {
    this.keyboard = true;
    this.lowered = !this.lowered;
    put(this.status, this.lowered ? this.words.lowered : this.words.lifted);
    if (this.lowered) {
      this.ink.keep();
      this.walk([0, 0]);
    } else this.paintPad();
  }

  /** Fitting would move it back: it ends, with the picture where the network has it now. */
  shift(columns, rows) {
    if (this.ink.empty) return this.takeSample();
    this.ink.keep();
    if (this.fit) {
      this.ink.put(this.picture());
      this.fitting(false);
    }
    this.ink.shift(columns, rows);
    this.changed();
  }

  fitting(on) {
    this.fit = this.box.checked = on;
    if (!this.ink.empty) this.changed();
  }

  flip() {
    this.erasing = !this.erasing;
    this.rubber.setAttribute("aria-pressed", String(this.erasing));
  }

  undo() {
    this.ink.undo();
    this.changed();
  }

  clear() {
    this.ink.keep();
    this.ink.clear();
    this.lowered = false;
    this.fitting(this.fits);
    this.changed();
  }

  /** The test sample onto the pad, as the data has it: there is nothing to fit. */
  async takeSample() {
    const { run, step, sample } = this.data;
    let answer;
    while (this.asking) await this.asking;
    await this.alone(async () => (answer = await this.line.ask({ run, step, sample, layer: this.layer || "", drawing: "" })));
    if (!answer?.arrays) return put(this.trouble, answer?.error ?? this.words.lost);
    const { data, shape: [high, wide, channels = 1] } = answer.arrays.shown;
    this.ink.keep();
    const grey = (_, i) => data.subarray(i * channels, (i + 1) * channels).reduce((a, b) => a + b) / channels;
    this.ink.put(Uint8Array.from({ length: high * wide }, grey), wide, high);
    this.fitting(false);
    this.pad.focus({ preventScroll: true });
  }

  paintPad() {
    const ratio = window.devicePixelRatio || 1, side = this.pad.clientWidth, context = this.pad.getContext("2d");
    if (!side) return;
    this.pad.width = this.pad.height = Math.round(side * ratio);
    const step = this.pad.width / SIDE;
    context.drawImage(this.ink.context.canvas, 0, 0, this.pad.width, this.pad.width);
    context.fillStyle = "rgb(128 128 128 / 0.22)";
    for (let i = 1; i < SIDE; i++) {
      context.fillRect(Math.round(i * step), 0, 1, this.pad.width);
      context.fillRect(0, Math.round(i * step), this.pad.width, 1);
    }
    if (this.ink.empty && !this.keyboard) {
      context.fillStyle = "#c9ced6";
      context.font = `${Math.round(15 * ratio)}px ${this.colors?.font ?? "sans-serif"}`;
      context.textAlign = "center";
      context.fillText(this.words.here, this.pad.width / 2, this.pad.width / 2);
    }
    if (!this.keyboard || document.activeElement !== this.pad) return;
    const [x, y] = this.cursor.map((v) => v * step), size = (Number(this.brush.value) * step) / 2 + 2 * ratio;
    Object.assign(context, { lineWidth: 2 * ratio, strokeStyle: this.lowered ? "#f5a15b" : "#56b4e9" });
    context.beginPath();
    context.arc(x, y, size, 0, 2 * Math.PI);
    context.stroke();
  }

  // ---- what the network gets, and says ----------------------------------------------------------------------------

  middle() {
    const { words } = this, tile = (name) => {
      this[name] = el("canvas", { className: "ld-tile", role: "img" });
      return el("figure", { title: words[`${name}_help`] }, this[name], el("figcaption", {}, words[name]));
    };
    this.what = el("h3", {}, words.gets);
    this.steepest = el("p", { className: "ld-note" });
    this.headline = el("p", { className: "ld-headline" }, "…");
    this.bars = el("tbody");
    this.status = el("p", { className: "ld-status", role: "status" });
    this.trouble = el("p", { className: "ld-trouble", role: "alert" });
    return el("section", { className: "ld-middle", "aria-label": words.says }, this.what,
      el("div", { className: "ld-tiles" }, tile("got"), tile("saliency")), this.steepest, el("h3", {}, words.says), this.headline,
      el("table", { className: "ld-bars", "aria-label": words.bars }, this.bars), this.trouble, this.status);
  }

  said() {
    const { predicted, confidence, target } = this.frame.meta;
    const line = fill(this.words.said, { predicted, sure: percent(confidence) });
    return target ? `${line} ${fill(this.words.target, { target })}` : line;
  }

  paintAnswer() {
    const { meta, arrays: { answers, saliency, shown } } = this.frame, { words } = this;
    const drawn = !meta.target;
    put(this.what, drawn ? words.gets : fill(words.gets_sample, { sample: meta.sample }));
    paintSample(this.got, { arrays: { pictures: { data: shown.data, shape: [1, ...shown.shape] } }, meta: {} }, 0, this.colors);
    this.got.setAttribute("aria-label", drawn ? words.got : fill(words.gets_sample, { sample: meta.sample }));
    const heat = { meta: { view: "feature_maps", low: 0, high: meta.steepest }, arrays: { view: { data: saliency.data, shape: [1, ...saliency.shape] } } };
    const view = paintView(this.saliency, heat, this.colors);
    outline(this.saliency, view, shown);
    this.saliency.setAttribute("aria-label", fill(words.steepest, { most: number(meta.steepest) }));
    put(this.steepest, fill(words.steepest, { most: number(meta.steepest) }));
    put(this.headline, meta.predicted);
    this.headline.append(el("small", {}, ` ${percent(meta.confidence)}`, meta.target ? ` · ${fill(words.target, { target: meta.target })}` : ""));
    this.paintBars(answers.data, meta);
  }

  paintBars(shares, { classes, predicted }) {
    const order = classes.map((_, i) => i);
    if (classes.length > BARS) order.sort((a, b) => shares[b] - shares[a]).splice(BARS);
    while (this.bars.children.length < order.length) {
      this.bars.append(el("tr", {}, el("th", { scope: "row" }), el("td", {}, el("i")), el("td")));
    }
    while (this.bars.children.length > order.length) this.bars.lastChild.remove();
    order.forEach((k, i) => {
      const row = this.bars.children[i], [name, bar, share] = row.children;
      row.className = classes[k] === predicted ? "ld-first" : "";
      put(name, classes[k]);
      name.title = classes[k];
      bar.firstChild.style.width = `${100 * shares[k]}%`;
      put(share, percent(shares[k]));
    });
  }

  // ---- the layer --------------------------------------------------------------------------------------------------

  right() {
    const { words } = this;
    this.chooser = el("select", { "aria-label": words.layer, title: words.layer_help, onchange: () => this.choose() });
    this.about = el("span", { className: "ld-about" });
    this.maps = el("canvas", { tabIndex: 0, role: "img", "aria-label": words.layer });
    this.cell = el("i", { className: "ld-cell", hidden: true });
    this.tip = el("output", { className: "ld-tip", hidden: true });
    this.maps.onpointermove = (event) => {
      const { left, top } = this.maps.getBoundingClientRect();
      this.point(this.view?.find(event.clientX - left, event.clientY - top));
    };
    this.maps.onpointerleave = this.maps.onblur = () => this.point(null);
    this.maps.onkeydown = (event) => this.step(event);
    this.scale = el("div", { className: "ld-scale" }, el("span"), el("i"), el("span"));
    return el("section", { className: "ld-right", "aria-label": words.layer },
      el("header", {}, this.chooser, this.about, this.scale), el("div", { className: "ld-maps" }, this.maps, this.cell, this.tip));
  }

  choose() {
    this.layer = this.chooser.value;
    this.tell("layer", this.layer);
    this.want();
  }

  paintMaps() {
    const { frame, words } = this, { meta } = frame;
    this.view = paintView(this.maps, frame, this.colors);
    const { shown, shape: [, h, w] } = this.view, count = Math.max(meta.total, meta.view === "feature_maps" ? this.view.count : 0);
    const of = meta.view === "feature_maps" && shown < count ? ` ${fill(words.first_of, { n: shown, count })}` : "";
    put(this.about, fill(words[`about_${meta.view}`], { n: number(count), h, w, step: frame.step.toLocaleString() }) + of);
    this.maps.setAttribute("aria-label", `${meta.layer}: ${this.about.textContent}`);
    const { gradient, ends: [low, zero, high] } = legend(meta, this.colors), [left, strip, right] = this.scale.children;
    strip.style.background = gradient;
    put(left, number(low));
    put(right, number(high));
    this.scale.title = zero === 0 ? words.scale_signed : words.scale_size;
    this.point(this.at);
  }

  /** What stands under the pointer (or the arrow keys' cell), in numbers. */
  point(at) {
    this.at = at && at[0] < this.view?.shown ? at : null;
    this.tip.hidden = this.cell.hidden = !this.at;
    if (!this.at) return;
    const [tile, i, j] = at, [, h, w] = this.view.shape;
    const value = number(valueAt(this.frame, (tile * h + i) * w + j)), [left, top, width, height] = this.view.rect(at);
    Object.assign(this.cell.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    put(this.tip, fill(this.words[`hover_${this.frame.meta.view}`], { tile, i, j, value }));
    this.tip.style.left = `${Math.max(0, Math.min(left, this.maps.clientWidth - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${top > 34 ? top - 30 : top + height + 6}px`;
  }

  step(event) {
    const way = { ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], ArrowLeft: [0, 0, -1], ArrowRight: [0, 0, 1], PageUp: [-1, 0, 0],
      PageDown: [1, 0, 0] }[event.key];
    if (!way || !this.view) return;
    event.preventDefault();
    const most = [this.view.shown, this.view.shape[1], this.view.shape[2]];
    this.point((this.at ?? [0, 0, 0]).map((v, k) => (v + way[k] + most[k]) % most[k]));
  }

  repaint() {
    this.paintPad();
    if (!this.frame || !this.maps.clientWidth) return;
    this.paintAnswer();
    this.paintMaps();
  }
}

/** A line around what is lit in the picture, over its saliency. */
function outline(canvas, view, { data, shape: [high, wide, channels = 1] }) {
  const context = canvas.getContext("2d"), lit = (i, j) => i >= 0 && j >= 0 && i < high && j < wide && data[(i * wide + j) * channels] > 102;
  context.fillStyle = "rgb(255 255 255 / 0.8)";
  for (let i = 0; i <= high; i++) {
    for (let j = 0; j <= wide; j++) {
      const [x, y, width, height] = view.rect([0, i, j]);
      if (lit(i, j) !== lit(i - 1, j)) context.fillRect(x, y - 0.5, width, 1);
      if (lit(i, j) !== lit(i, j - 1)) context.fillRect(x - 0.5, y, 1, height);
    }
  }
}
