// A layer's maps on one canvas, the kernel that made each beside it, and one of them large. Python sends the bytes of the
// maps and says which one is chosen; a click or Enter chooses another.
import { BLUE_ORANGE, CIVIDIS } from "./charts.js";
import { number } from "./frames.js";
import { el, fill, keep } from "./parts.js";

export const mount = (component) => keep(component, Maps, "maps.css");

const GAP = 6, LABEL = 13, LARGE = 204, KERNEL = 0.34; // a kernel's side as a share of its map's

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const between = (v, low, high) => Math.min(high, Math.max(low, v));

/** From a value to a packed pixel: signed values around a neutral zero, both arms alike; magnitudes from low to high. */
function painter([low, high], { sequential, diverging }) {
  const both = low < 0 && high > 0, most = Math.max(-low, high), table = new Uint32Array(256);
  const colors = (both || high <= 0 && low < 0 ? diverging : sequential).map(rgb);
  for (let q = 0; q < 256; q++) {
    const at = (q / 255) * (colors.length - 1), i = Math.min(Math.floor(at), colors.length - 2);
    const [r, g, b] = colors[i].map((v, k) => Math.round(v + (colors[i + 1][k] - v) * (at - i)));
    table[q] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  const ends = colors.length && (both || high <= 0 && low < 0) ? [-most, most] : [Math.min(0, low), high];
  const span = ends[1] - ends[0] || 1;
  return { ends, diverging: ends[0] < 0, of: (v) => table[between(Math.round(((v - ends[0]) / span) * 255), 0, 255)] };
}

const valueOf = (stack, tile, i) => {
  const q = stack.bytes[tile * stack.h * stack.w + i];
  return stack.low[tile] + (q / 255) * (stack.high[tile] - stack.low[tile]);
};

/** One array of a stack as a canvas of one pixel per value. */
function pixels(stack, tile, paint) {
  const { h, w } = stack, canvas = new OffscreenCanvas(w, h), context = canvas.getContext("2d");
  const image = context.createImageData(w, h), into = new Uint32Array(image.data.buffer);
  const levels = new Uint32Array(256), low = stack.low[tile], step = (stack.high[tile] - low) / 255;
  for (let q = 0; q < 256; q++) levels[q] = paint.of(low + q * step);
  for (let i = 0; i < h * w; i++) into[i] = levels[stack.bytes[tile * h * w + i]];
  context.putImageData(image, 0, 0);
  return canvas;
}

function stackOf(sent) {
  if (!sent) return null;
  const [n, h, w] = sent.shape;
  return { n, h, w, bytes: bytes(sent.data), low: sent.low, high: sent.high };
}

const range = (stack, tile) => (tile === undefined ? [Math.min(...stack.low), Math.max(...stack.high)] : [stack.low[tile], stack.high[tile]]);

class Maps {
  cursor = 0;

  constructor(parent) {
    this.canvas = el("canvas");
    this.options = el("div", { className: "lm-options" });
    this.tip = el("div", { className: "lm-tip", hidden: true });
    this.grid = el("div", { className: "lm-grid", tabIndex: 0, role: "listbox" }, this.canvas, this.options);
    this.about = el("span");
    this.page = el("span", { hidden: true });
    [this.before, this.after] = [-1, 1].map((by) => el("button", { type: "button", onclick: () => this.turn(by) }, by < 0 ? "‹" : "›"));
    this.png = el("button", { type: "button", onclick: () => this.download() }, "PNG");
    this.head = el("div", { className: "lm-head" }, this.about, this.before, this.after, this.png);
    this.large = el("div", { className: "lm-large" });
    this.root = el("div", { className: "lm-maps" }, this.head, this.grid, this.large, this.tip);
    parent.append(this.root);
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.grid.addEventListener("mousemove", (event) => this.hover(event));
    this.grid.addEventListener("mouseleave", () => { this.tip.hidden = true; });
    this.grid.addEventListener("blur", () => { this.tip.hidden = true; this.paint(); });
    this.grid.addEventListener("focus", () => this.paint());
    this.grid.addEventListener("click", (event) => this.clicked(event));
    this.resized = new ResizeObserver(() => this.paint());
    this.resized.observe(this.grid);
    this.pulse = setInterval(() => this.each(), 1000);
  }

  show(data) {
    const layer = this.data?.name;
    this.data = data;
    [this.maps, this.kernels, this.one, this.oneKernel] = [data.maps, data.kernels, data.large, data.kernel].map(stackOf);
    this.given = data.given ? { bytes: bytes(data.given.data), shape: data.given.shape } : null;
    this.root.style.height = `${data.height}px`;
    this.about.textContent = data.words.about;
    this.grid.setAttribute("aria-label", `${data.words.maps} ${data.words.about}`);
    this.png.title = data.words.png;
    for (const [button, by] of [[this.before, -1], [this.after, 1]]) {
      button.hidden = data.pages < 2;
      button.disabled = data.page + by < 1 || data.page + by > data.pages;
      button.title = by < 0 ? data.words.before : data.words.after;
      button.setAttribute("aria-label", button.title);
    }
    const at = data.units.indexOf(data.chosen);
    if (layer !== data.name || !(this.cursor < this.maps.n) || at >= 0) this.cursor = Math.max(0, at);
    this.name();
    this.paint();
    this.enlarge();
  }

  /** What a screen reader reads of each map. */
  name() {
    const { words, units, dead, strength, chosen } = this.data;
    this.options.replaceChildren(...units.map((unit, i) => {
      const said = fill(words.option, { map: unit, strength: number(strength[i]) }) + (dead[i] ? `, ${words.dead}` : "");
      const node = el("div", { role: "option", id: `lm-${unit}` }, said);
      node.setAttribute("aria-selected", String(unit === chosen));
      return node;
    }));
    this.point();
  }

  point() { this.grid.setAttribute("aria-activedescendant", `lm-${this.data.units[this.cursor]}`); }

  colors() {
    const style = getComputedStyle(this.root), get = (name) => style.getPropertyValue(name).trim();
    const scale = (name, otherwise) => (get(`--st-chart-${name}-colors`) || otherwise).split(",").map((c) => c.trim());
    return { sequential: scale("sequential", CIVIDIS), diverging: scale("diverging", BLUE_ORANGE), text: get("--st-text-color") || style.color,
      accent: get("--st-primary-color") || "#1b62a8", ground: get("--st-background-color") || "#ffffff", font: style.fontFamily };
  }

  /** As large as all of them can be: width and height of a map, of its cell, and the number of columns. */
  place() {
    const { n, h, w } = this.maps, width = this.grid.clientWidth, height = this.grid.clientHeight;
    const wide = w * (1 + (this.kernels ? KERNEL : 0)), beside = this.kernels ? 3 : 0; // pixels lost to the gap and to rounding
    let best = { size: 0, columns: 1 };
    for (let columns = 1; columns <= n; columns++) {
      const rows = Math.ceil(n / columns), across = ((width - GAP * (columns - 1) - 4) / columns - beside) / wide;
      const size = Math.min(across, ((height - 4 - GAP * (rows - 1)) / rows - LABEL) / h);
      const bare = Math.min(across, ((height - 4 - GAP * (rows - 1)) / rows) / h);
      const label = size * Math.min(h, w) >= 26, found = label ? size : Math.min(bare, 26 / Math.min(h, w));
      if (found > best.size) best = { size: found, columns, label: label ? LABEL : 0 };
    }
    const size = Math.min(best.size, 160 / Math.max(h, w)), mapW = Math.max(2, Math.floor(size * w)), mapH = Math.max(2, Math.floor(size * h));
    const cellW = mapW + (this.kernels ? Math.ceil(mapW * KERNEL) + 2 : 0);
    return { columns: best.columns, mapW, mapH, cellW, label: best.label ?? 0,
      corner: (i) => [2 + (i % best.columns) * (cellW + GAP), 2 + Math.floor(i / best.columns) * (mapH + (best.label ?? 0) + GAP)] };
  }

  paint() {
    if (!this.data || !this.grid.clientWidth) return;
    const place = (this.placed = this.place()), colors = this.colors(), context = sized(this.canvas, this.grid.clientWidth, this.grid.clientHeight);
    this.theme = JSON.stringify(colors);
    context.imageSmoothingEnabled = false;
    const shared = painter(this.data.ends, colors), kernel = this.kernels && painter(range(this.kernels), colors);
    for (let i = 0; i < this.maps.n; i++) {
      const [x, y] = place.corner(i), { mapW, mapH } = place;
      context.drawImage(pixels(this.maps, i, this.data.own ? painter(range(this.maps, i), colors) : shared), x, y, mapW, mapH);
      if (this.kernels) {
        const side = mapW * KERNEL, high = Math.min(mapH, (side * this.kernels.h) / this.kernels.w);
        context.drawImage(pixels(this.kernels, i, kernel), x + mapW + 2, y, side, high);
      }
      this.mark(context, i, x, y, place, colors);
    }
  }

  /** The number of a map, a cross through a dead one, a frame around the chosen one and around where the keyboard is. */
  mark(context, i, x, y, { mapW, mapH, cellW, label }, colors) {
    const unit = this.data.units[i];
    context.lineWidth = 1.5;
    context.strokeStyle = colors.text;
    if (this.data.dead[i]) {
      context.setLineDash([3, 3]);
      context.strokeRect(x + 0.5, y + 0.5, mapW - 1, mapH - 1);
      context.setLineDash([]);
      context.strokeStyle = "#ffffffaa";
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + mapW, y + mapH);
      context.moveTo(x + mapW, y);
      context.lineTo(x, y + mapH);
      context.stroke();
    }
    if (label) {
      context.fillStyle = colors.text;
      context.font = `${unit === this.data.chosen ? 700 : 400} 11px ${colors.font}`;
      context.fillText(`${unit}${this.data.dead[i] && mapW > 46 ? ` ${this.data.words.dead}` : ""}`, x, y + mapH + 11);
    }
    const focused = document.activeElement === this.grid && i === this.cursor;
    if (unit !== this.data.chosen && !focused) return;
    context.strokeStyle = focused ? colors.text : colors.accent;
    context.lineWidth = 2;
    if (focused) context.setLineDash([4, 2]);
    context.strokeRect(x - 1, y - 1, cellW + 2, mapH + 2);
    context.setLineDash([]);
  }

  /** The chosen map, over the input where that is wanted, with its scale and its kernel for every channel it reads. */
  enlarge() {
    const { words, own, ends } = this.data, { h, w } = this.one, colors = this.colors();
    const paint = painter(own ? range(this.one, 0) : ends, colors), wide = w >= h ? LARGE : Math.round((LARGE * w) / h), high = Math.round((wide * h) / w);
    this.big = el("canvas", { role: "img" });
    this.big.style.cssText = `width:${wide}px;height:${high}px`;
    this.big.setAttribute("aria-label", words.large);
    const context = sized(this.big, wide, high);
    context.imageSmoothingEnabled = false;
    const over = this.data.overlay && this.given;
    if (over) context.drawImage(photo(this.given), 0, 0, wide, high);
    context.drawImage(over ? veil(this.one) : pixels(this.one, 0, paint), 0, 0, wide, high);
    this.big.onmousemove = (event) => this.hoverLarge(event, wide, high);
    this.big.onmouseleave = () => { this.tip.hidden = true; };
    const title = el("b", {}, words.title, ...(this.data.chosenDead ? [el("small", {}, words.dead)] : []));
    this.large.replaceChildren(title, this.big, ...(over ? [] : [scale(paint, colors)]), ...(this.oneKernel ? this.kernel(colors) : []), ...(words.note ? [el("p", {}, words.note)] : []));
  }

  kernel(colors) {
    const { n, h, w } = this.oneKernel, columns = Math.min(n, n <= 4 ? n : n <= 16 ? 8 : n <= 36 ? 12 : 16), rows = Math.ceil(n / columns);
    const side = Math.min(56, Math.floor((LARGE - 2 * (columns - 1)) / columns)), canvas = el("canvas", { role: "img" });
    const [wide, high] = [columns * (side + 2) - 2, rows * (side + 2) - 2];
    canvas.style.cssText = `width:${wide}px;height:${high}px`;
    canvas.setAttribute("aria-label", this.data.words.kernel);
    const context = sized(canvas, wide, high), paint = painter(range(this.oneKernel), colors);
    context.imageSmoothingEnabled = false;
    const corner = (k) => [(k % columns) * (side + 2), Math.floor(k / columns) * (side + 2)];
    for (let k = 0; k < n; k++) context.drawImage(pixels(this.oneKernel, k, paint), ...corner(k), side, (side * h) / w);
    canvas.onmousemove = (event) => {
      const k = Math.floor(event.offsetX / (side + 2)) + columns * Math.floor(event.offsetY / (side + 2)), [x, y] = corner(k);
      const [i, j] = [Math.floor(((event.offsetY - y) / side) * w), Math.floor(((event.offsetX - x) / side) * w)];
      if (k >= n || i < 0 || j < 0 || i >= h || j >= w) return void (this.tip.hidden = true);
      this.say(event, fill(this.data.words.weight, { channel: k, row: i, column: j, value: number(valueOf(this.oneKernel, k, i * w + j)) }));
    };
    canvas.onmouseleave = () => { this.tip.hidden = true; };
    return [el("p", {}, this.data.words.kernel), canvas, scale(paint, colors)];
  }

  find(event) {
    const { mapW, mapH, cellW, label, columns } = this.placed, box = this.grid.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - 2, event.clientY - box.top - 2];
    const column = Math.floor(x / (cellW + GAP)), row = Math.floor(y / (mapH + label + GAP)), tile = row * columns + column;
    if (column < 0 || column >= columns || tile < 0 || tile >= this.maps.n) return null;
    const j = Math.floor(((x - column * (cellW + GAP)) / mapW) * this.maps.w), i = Math.floor(((y - row * (mapH + label + GAP)) / mapH) * this.maps.h);
    return { tile, i, j, inside: i >= 0 && i < this.maps.h && j >= 0 && j < this.maps.w };
  }

  hover(event) {
    const found = this.find(event);
    if (!found) return void (this.tip.hidden = true);
    const { tile, i, j } = found, { words, units, strength, dead, every } = this.data;
    this.say(event, found.inside
      ? fill(words.hover, { map: units[tile], row: i * every, column: j * every, value: number(valueOf(this.maps, tile, i * this.maps.w + j)) })
      : fill(words.option, { map: units[tile], strength: number(strength[tile]) }) + (dead[tile] ? `, ${words.dead}` : ""));
  }

  hoverLarge(event, wide, high) {
    const { h, w } = this.one, [i, j] = [Math.floor((event.offsetY / high) * h), Math.floor((event.offsetX / wide) * w)];
    if (i < 0 || j < 0 || i >= h || j >= w) return;
    const { words, chosen, everyLarge } = this.data;
    this.say(event, fill(words.hover, { map: chosen, row: i * everyLarge, column: j * everyLarge, value: number(valueOf(this.one, 0, i * w + j)) }));
  }

  say(event, text) {
    const box = this.root.getBoundingClientRect();
    this.tip.textContent = text;
    this.tip.hidden = false;
    const right = event.clientX - box.left > box.width - this.tip.offsetWidth - 16;
    this.tip.style.left = `${event.clientX - box.left + (right ? -this.tip.offsetWidth - 10 : 14)}px`;
    this.tip.style.top = `${Math.min(event.clientY - box.top + 16, box.height - 24)}px`;
  }

  clicked(event) {
    const found = this.find(event);
    if (found) this.choose(found.tile);
  }

  choose(tile) {
    this.cursor = tile;
    this.data.chosen = this.data.units[tile]; // the frame moves at once; the large map follows with the answer
    this.name();
    this.paint();
    this.component.setTriggerValue("map", this.data.chosen);
  }

  turn(by) { this.component.setTriggerValue("page", this.data.page + by); }

  key(event) {
    const { columns } = this.placed, last = this.maps.n - 1;
    if (event.key === "Enter" || event.key === " ") this.choose(this.cursor);
    else if (event.key === "PageDown" || event.key === "PageUp") {
      const by = event.key === "PageDown" ? 1 : -1;
      if (this.data.page + by >= 1 && this.data.page + by <= this.data.pages) this.turn(by);
    } else {
      const to = { ArrowLeft: this.cursor - 1, ArrowRight: this.cursor + 1, ArrowUp: this.cursor - columns, ArrowDown: this.cursor + columns,
        Home: 0, End: last }[event.key];
      if (to === undefined) return;
      if (to >= 0 && to <= last) this.cursor = to;
      this.point();
      this.paint();
    }
    event.preventDefault();
  }

  /** Once a second: has the theme changed, or has the page let go of us? */
  each() {
    if (!this.root.isConnected) {
      clearInterval(this.pulse);
      this.resized.disconnect();
    } else if (this.theme && JSON.stringify(this.colors()) !== this.theme) {
      this.paint();
      this.enlarge();
    }
  }

  /** All maps and the large one side by side, as they are on the page. */
  download() {
    const canvas = el("canvas"), gap = 24, width = this.canvas.width + gap + this.big.width, height = Math.max(this.canvas.height, this.big.height);
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.fillStyle = this.colors().ground;
    context.fillRect(0, 0, width, height);
    context.drawImage(this.canvas, 0, 0);
    context.drawImage(this.big, this.canvas.width + gap, 0);
    el("a", { href: canvas.toDataURL("image/png"), download: `layerlab-${this.data.name}.png` }).click();
  }
}

/** A canvas of so many CSS pixels, sharp on any screen. */
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1, context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  return context;
}

function scale({ ends, diverging }, colors) {
  const bar = el("i");
  bar.style.background = `linear-gradient(90deg, ${(diverging ? colors.diverging : colors.sequential).join(",")})`;
  return el("div", { className: "lm-scale" }, el("span", {}, number(ends[0])), bar, el("span", {}, number(ends[1])));
}

/** What the network got, in grey: the colours are the map's. */
function photo({ bytes: data, shape: [h, w, channels = 1] }) {
  const canvas = new OffscreenCanvas(w, h), context = canvas.getContext("2d"), image = context.createImageData(w, h);
  for (let i = 0; i < h * w; i++) {
    let sum = 0;
    for (let k = 0; k < channels; k++) sum += data[i * channels + k];
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = 0.7 * (sum / channels); // dimmed: what lies over it must show
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The map as a veil: orange above zero, blue below it, the more opaque the farther from zero. */
function veil(stack) {
  const { h, w } = stack, canvas = new OffscreenCanvas(w, h), context = canvas.getContext("2d"), image = context.createImageData(w, h);
  const most = Math.max(-stack.low[0], stack.high[0]) || 1;
  for (let i = 0; i < h * w; i++) {
    const value = valueOf(stack, 0, i);
    image.data.set([...(value > 0 ? [255, 150, 40] : [70, 160, 255]), Math.round(235 * Math.min(1, Math.abs(value) / most))], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
