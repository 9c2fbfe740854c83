// Tokens drawn twice with a line from each token that reads to those it reads: as wide as the weight, a colour a head.
import { el, fill, keep } from "./parts.js";

export const mount = (component) => keep(component, Attention, "attention.css");
const SVG = "http://www.w3.org/2000/svg";
const [WIDEST, FAINT] = [14, 0.002]; // pixels of a line of weight 1; weights below are not drawn

class Attention {
  constructor(parent) {
    this.heads = el("div", { className: "lt-heads", role: "group" });
    this.readers = el("div", { className: "lt-side lt-readers", role: "group" });
    this.read = el("div", { className: "lt-side lt-read" });
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("aria-hidden", "true");
    this.flow = el("div", { className: "lt-flow" }, this.readers, this.svg, this.read);
    this.stage = el("div", { className: "lt-stage" }, this.flow);
    this.said = el("p", { className: "lt-said", "aria-live": "polite" });
    this.root = el("div", { className: "lt-attention" }, this.heads, this.stage, this.said);
    this.readers.addEventListener("pointerover", (event) => this.point(event));
    this.readers.addEventListener("focusin", (event) => this.point(event));
    this.readers.addEventListener("pointerleave", () => this.draw(this.data.query));
    this.readers.addEventListener("focusout", () => this.draw(this.data.query));
    this.readers.addEventListener("keydown", (event) => this.key(event));
    parent.append(this.root);
    this.all = true;
    new ResizeObserver(() => this.place()).observe(this.stage);
  }

  show(data) {
    const had = this.readers.contains(document.activeElement);
    const words = JSON.stringify([data.tokens, data.stage]);
    this.data = data;
    if (words !== this.words) this.fill();
    this.words = words;
    this.chips();
    this.mark();
    this.place(true);
    if (had) this.nodes()[data.query]?.focus({ preventScroll: true });
  }

  fill() {
    const { tokens, words } = this.data;
    this.readers.setAttribute("aria-label", words.readers);
    this.stage.style.height = `${this.data.stage}px`;
    this.readers.replaceChildren(...tokens.map((name, i) => {
      const node = el("button", { type: "button", className: "lt-token", onclick: () => this.choose(i) }, name);
      node.dataset.at = i;
      node.setAttribute("aria-label", `${this.data.numbers[i]}: ${this.data.said[i]}`);
      return node;
    }), ...this.rest(true));
    this.read.replaceChildren(...tokens.map((name) => el("span", { className: "lt-token" }, el("span", {}, name), el("small", {}))), ...this.rest(false));
    this.width = null;
  }

  /** What stands for all padding: never read, and said so. */
  rest(reader) {
    if (!this.data.padding) return [];
    return [el("span", { className: "lt-token lt-padding", title: this.data.words.padding }, reader ? "" : this.data.padding)];
  }

  chips() {
    const { heads, head, words } = this.data;
    const chip = (name, color, pressed, onclick) => {
      const node = el("button", { type: "button", className: "lt-head", onclick }, color ? el("i", { style: `background:${color}` }) : null, name);
      node.setAttribute("aria-pressed", String(pressed));
      return node;
    };
    const one = heads.length > 1 ? [chip(words.all, "", this.all, () => { this.all = true; this.refresh(); })] : [];
    const at = [...this.heads.children].indexOf(document.activeElement);
    this.heads.replaceChildren(...one, ...heads.map((h, i) => chip(h.name, h.color, !this.all && i === head, () => this.only(i))));
    if (at >= 0) this.heads.children[Math.min(at, this.heads.children.length - 1)].focus({ preventScroll: true });
    this.heads.setAttribute("aria-label", words.heads);
  }

  refresh() {
    this.chips();
    this.draw(this.at);
  }

  only(i) {
    const changed = this.data.head !== i;
    this.all = false;
    this.data.head = i;
    this.refresh();
    if (changed) this.component.setTriggerValue("head", i);
  }

  choose(i) {
    this.data.query = i;
    this.mark();
    this.draw(i);
    this.component.setTriggerValue("query", this.data.numbers[i]);
  }

  nodes() { return [...this.readers.querySelectorAll("button")]; }

  mark() {
    this.nodes().forEach((node, i) => {
      node.setAttribute("aria-pressed", String(i === this.data.query));
      node.tabIndex = i === Math.max(0, this.data.query) ? 0 : -1;
    });
  }

  point(event) {
    const at = event.target.closest("[data-at]")?.dataset.at;
    if (at !== undefined) this.draw(Number(at));
  }

  key(event) {
    const nodes = this.nodes(), at = nodes.indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: nodes.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    nodes[Math.max(0, Math.min(nodes.length - 1, to))].focus();
    event.preventDefault();
  }

  /** Two lines of tokens where they fit into the width, else two columns that scroll together. */
  place(anew = false) {
    if (!this.data || (!anew && this.width === this.stage.clientWidth)) return;
    if (this.width !== this.stage.clientWidth) {
      const ways = ["lt-flow lt-lines", "lt-flow lt-lines lt-dense", "lt-flow lt-columns"];
      this.flow.className = ways.find((way) => {
        this.flow.className = way;
        return [this.readers, this.read].every((side) => side.scrollWidth <= side.clientWidth);
      }) ?? ways.at(-1);
      this.width = this.stage.clientWidth;
    }
    this.draw(this.data.query);
    if (anew) this.nodes()[this.data.query]?.scrollIntoView({ block: "nearest" });
  }

  draw(query) {
    this.at = query;
    const { heads, head, tokens, words } = this.data;
    const shown = heads.map((_h, i) => i).filter((i) => this.all || i === head);
    const around = this.flow.getBoundingClientRect(), down = this.flow.classList.contains("lt-lines");
    const keys = [...this.read.children], from = this.nodes()[query];
    const box = (node) => node.getBoundingClientRect();
    this.svg.replaceChildren();
    this.nodes().forEach((node, i) => node.classList.toggle("lt-now", i === query));
    const mean = tokens.map((_t, k) => query < 0 ? 0 : shown.reduce((sum, h) => sum + Math.max(0, heads[h].weights[query][k]), 0) / shown.length / 1000);
    const most = Math.max(...mean, 0.001);
    keys.slice(0, tokens.length).forEach((node, k) => {
      const masked = query >= 0 && heads[0].weights[query][k] < 0;
      node.classList.toggle("lt-masked", masked);
      node.title = masked ? words.masked : "";
      node.style.setProperty("--lt-share", `${Math.round(70 * mean[k] / most)}%`);
      node.style.setProperty("--lt-hue", shown.length === 1 ? heads[shown[0]].color : "var(--lt-accent)");
      node.lastChild.textContent = !masked && (mean[k] >= 0.05 || mean[k] === most) ? mean[k].toFixed(2).replace(/^0/, "") : "";
    });
    if (!from) return;
    const a = box(from);
    const peak = Math.max(1, ...shown.flatMap((h) => heads[h].weights[query])) / 1000;
    for (const h of shown) {
      const shift = (h - (heads.length - 1) / 2) * Math.min(2.5, 12 / heads.length);
      heads[h].weights[query].forEach((weight, k) => {
        if (weight / 1000 < FAINT) return;
        const b = box(keys[k]);
        const [x1, y1, x2, y2] = down
          ? [a.left + a.width / 2 + shift, a.bottom, b.left + b.width / 2 + shift, b.top]
          : [a.right, a.top + a.height / 2 + shift, b.left, b.top + b.height / 2 + shift];
        this.line(x1 - around.left, y1 - around.top, x2 - around.left, y2 - around.top, down, weight / 1000, weight / 1000 / peak, heads[h].color);
      });
    }
    const best = mean.indexOf(Math.max(...mean));
    this.said.textContent = fill(shown.length > 1 ? words.mean : words.line, { reader: this.data.said[query], read: this.data.said[best], weight: mean[best].toFixed(3) });
  }

  line(x1, y1, x2, y2, down, weight, share, color) {
    const path = document.createElementNS(SVG, "path");
    const [mx, my] = [(x1 + x2) / 2, (y1 + y2) / 2];
    path.setAttribute("d", down ? `M${x1} ${y1} C${x1} ${my} ${x2} ${my} ${x2} ${y2}` : `M${x1} ${y1} C${mx} ${y1} ${mx} ${y2} ${x2} ${y2}`);
    path.setAttribute("stroke", color);
    path.setAttribute("stroke-width", Math.max(0.6, weight * WIDEST));
    path.setAttribute("opacity", 0.1 + 0.8 * share);
    this.svg.append(path);
  }
}
