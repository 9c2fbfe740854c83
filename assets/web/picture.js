// The network as boxes in a row that wraps, each drawn as large as what comes out of its layer.
import { el, keep } from "./parts.js";

export const mount = (component) => keep(component, Picture);
const SVG = "http://www.w3.org/2000/svg";
const [WIDE, HIGH] = [56, 44];

class Picture {
  constructor(parent) {
    this.root = el("div", { className: "lb-picture" });
    this.root.addEventListener("keydown", (event) => this.key(event));
    parent.append(this.root);
  }

  show(data) {
    const had = this.root.contains(document.activeElement);
    const top = this.flow?.scrollTop ?? 0;
    this.data = data;
    this.root.style.height = `${data.height}px`;
    const most = Math.max(1, ...data.boxes.filter((box) => box.form === "picture").map((box) => box.sizes[1]));
    this.flow = el("div", { className: "lb-flow", role: "group" }, ...data.boxes.map((box) => this.box(box, most)));
    this.flow.setAttribute("aria-label", data.words.picture);
    this.root.replaceChildren(this.flow, el("p", { className: "lb-legend" }, data.words.legend));
    this.flow.scrollTop = top;
    if (had) this.current()?.focus({ preventScroll: true });
    this.reveal();
  }

  box(box, most) {
    const open = box.name && box.name === this.data.selected;
    const tag = box.name ? "button" : "div";
    const node = el(tag, { className: `lb-box${box.fault ? " lb-guilty" : ""}${box.learns ? " lb-learns" : ""}`, title: box.words });
    if (box.name) {
      node.type = "button";
      node.tabIndex = open ? 0 : -1;
      node.onclick = () => this.open(box.name);
      node.setAttribute("aria-pressed", String(Boolean(open)));
      node.setAttribute("aria-label", box.words);
      node.dataset.name = box.name;
    }
    node.append(drawn(box, most), el("b", {}, box.label.length > 10 ? `…${box.label.slice(-8)}` : box.label), el("small", {}, box.shape || "–"));
    return node;
  }

  current() {
    return [...this.flow.querySelectorAll("button")].find((node) => node.dataset.name === this.data.selected);
  }

  reveal() {
    const shown = this.current();
    if (!shown) return;
    const inside = this.flow.getBoundingClientRect(), place = shown.getBoundingClientRect();
    if (place.top < inside.top) this.flow.scrollTop -= inside.top - place.top;
    if (place.bottom > inside.bottom) this.flow.scrollTop += place.bottom - inside.bottom;
  }

  open(name) {
    this.data.selected = name;
    for (const node of this.flow.querySelectorAll("button")) {
      node.setAttribute("aria-pressed", String(node.dataset.name === name));
      node.tabIndex = node.dataset.name === name ? 0 : -1;
    }
    this.current()?.focus({ preventScroll: true });
    this.component.setTriggerValue("open", name);
  }

  /** Arrows go from box to box; Enter or Space, as on every button, opens the layer. */
  key(event) {
    const nodes = [...this.flow.querySelectorAll("button")];
    const at = nodes.indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: nodes.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    nodes[Math.max(0, Math.min(nodes.length - 1, to))].focus();
    event.preventDefault();
  }
}

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

const log = (n) => Math.log2(1 + Math.max(1, n));

/** A block for a stack of maps, a sheet for a sequence, a bar for a vector, a string of beads for tokens. */
function drawn(box, most) {
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, width: WIDE, height: HIGH, "aria-hidden": "true" });
  if (box.form === "picture") block(svg, box.sizes, most);
  else if (box.form === "sequence") sheet(svg, Math.min(48, 6 * log(box.sizes[0])), Math.min(36, 4.5 * log(box.sizes[1])));
  else if (box.form === "vector") sheet(svg, 9, Math.min(38, 4 + 3.4 * log(box.sizes[0])));
  else if (box.form === "tokens") for (let i = 0; i < 4; i++) svg.append(shape("rect", { x: 5 + 12 * i, y: 17, width: 10, height: 10, rx: 2 }));
  else svg.append(shape("rect", { x: 14, y: 10, width: 28, height: 24, rx: 3, "stroke-dasharray": "3 3" }));
  return svg;
}

function sheet(svg, wide, high) {
  svg.append(shape("rect", { x: (WIDE - wide) / 2, y: (HIGH - high) / 2, width: wide, height: high, rx: 1.5 }));
}

/** Side: the picture's side among all pictures of this network. Depth: the logarithm of the number of maps. */
function block(svg, [maps, height], most) {
  const side = Math.max(5, 26 * Math.sqrt(height / most)), depth = Math.min(16, 1.9 * log(maps));
  const [x, y] = [(WIDE - side - depth) / 2, (HIGH - side + depth * 0.6) / 2];
  const [dx, dy] = [depth, -depth * 0.6];
  svg.append(
    shape("path", { class: "lb-side", d: `M${x} ${y} l${dx} ${dy} h${side} v${side} l${-dx} ${-dy} v${-side} Z` }),
    shape("rect", { x, y, width: side, height: side }),
    shape("path", { class: "lb-edge", d: `M${x + side} ${y} l${dx} ${dy}` }),
  );
}
