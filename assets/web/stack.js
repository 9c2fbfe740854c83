// The stack of layers as a grid of rows. It shows what Python says and tells what was done; it changes nothing itself.
import { el, fill, keep } from "./parts.js";

export const mount = (component) => keep(component, Stack);
const SETTLE = 160; // ms of quiet before a layer that the arrows have reached is opened

class Stack {
  constructor(parent) {
    this.root = el("div", { className: "lb-stack" });
    this.root.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".lb-menu, .lb-more")) this.close(); });
    parent.append(this.root);
  }

  show(data) {
    const had = this.root.contains(document.activeElement);
    const top = this.body?.scrollTop ?? 0;
    this.data = data;
    this.selected = data.selected;
    this.root.style.height = `${data.height}px`;
    this.body = el("div", { className: "lb-body", role: "rowgroup" });
    this.body.append(this.input(), ...this.faultOf("input"), ...this.faultOf(""));
    for (const row of data.rows) this.body.append(this.row(row), ...this.faultOf(row.name));
    if (!data.rows.length && !data.fault) this.body.append(el("p", { className: "lb-empty" }, data.words.nothing));
    const grid = el("div", { className: "lb-grid", role: "grid" }, this.head(), this.body);
    grid.setAttribute("aria-label", data.words.layers);
    grid.setAttribute("aria-description", data.words.keys);
    this.root.replaceChildren(grid);
    this.body.scrollTop = top;
    if (had) this.current()?.focus({ preventScroll: true });
    this.reveal();
  }

  head() {
    const { words } = this.data;
    const cells = [["layer"], ["options"], ["output"], ["params"], ["macs", words.macs_help], ["memory", words.memory_help],
      ["sees", words.sees_help], ["", ""]];
    return el("div", { className: "lb-row lb-head", role: "row" }, ...cells.map(([name, title], i) =>
      el("span", { role: "columnheader", className: `lb-c${i}`, title: title ?? "" }, words[name] ?? "")));
  }

  input() {
    const { name, shape } = this.data.input;
    return el("div", { className: "lb-row lb-input", role: "row" }, this.cell(0, name), this.cell(1, ""), this.cell(2, shape));
  }

  row(row) {
    const { words, fault } = this.data;
    const open = row.name === this.selected;
    const line = el("div", {
      className: `lb-row lb-layer${fault?.name === row.name && !fault.mild ? " lb-guilty" : ""}`, role: "row", tabIndex: open ? 0 : -1,
      onclick: (event) => { if (!event.target.closest("button")) this.choose(row.name, true); },
    });
    line.dataset.name = row.name;
    line.setAttribute("aria-selected", String(open));
    const more = el("button", { type: "button", className: "lb-more", tabIndex: open ? 0 : -1, onclick: () => this.menu(row.name) }, "⋮");
    more.setAttribute("aria-label", fill(words.actions, { name: row.name }));
    more.setAttribute("aria-haspopup", "menu");
    const name = this.cell(0, row.name);
    name.title = row.kind;
    const says = el("span", { role: "gridcell", className: "lb-c1", title: row.says ? `${row.kind}: ${row.says}` : row.kind },
      el("b", {}, row.kind), row.says ? ` ${row.says}` : "");
    const shape = this.cell(2, row.shape);
    if (row.shape) shape.title = fill(words.from, row);
    const numbers = row.numbers.map((number, i) => this.number(3 + i, number, row.shares[i], row.bars[i]));
    line.append(name, says, shape, ...numbers, this.cell(6, row.sees), el("span", { role: "gridcell", className: "lb-c7" }, more));
    return line;
  }

  cell(column, text) {
    return el("span", { role: "gridcell", className: `lb-c${column}` }, text);
  }

  number(column, text, share, bar) {
    const cell = this.cell(column, text);
    if (!text) return cell;
    const percent = share >= 0.0995 ? Math.round(100 * share) : (100 * share).toPrecision(2);
    cell.title = fill(this.data.words.share, { share: `${percent} %` });
    cell.style.setProperty("--bar", bar);
    cell.classList.add("lb-share");
    return cell;
  }

  faultOf(name) {
    const { fault, words } = this.data;
    if (!fault || fault.name !== name) return [];
    const text = el("span", {}, fault.message);
    const known = fault.verb && fault.fix;
    const mend = known
      ? el("button", { type: "button", className: "lb-mend", onclick: () => this.tell(fault.verb, name) }, fill(words.mend, fault))
      : el("span", { className: "lb-fix" }, fault.fix);
    const line = el("div", { className: `lb-fault${fault.mild ? " lb-mild" : ""}`, role: "row" }, el("span", { role: "gridcell" }, text, " ", mend));
    line.setAttribute("aria-live", "polite");
    return [line];
  }

  // ── doing ──

  tell(verb, name) {
    this.close();
    this.component.setTriggerValue("act", { verb, name });
  }

  /** Open a layer: at once on the screen, and in Python when the arrows have come to rest. */
  choose(name, now = false) {
    this.close();
    this.selected = name;
    for (const line of this.body.querySelectorAll(".lb-layer")) {
      const open = line.dataset.name === name;
      line.setAttribute("aria-selected", String(open));
      line.tabIndex = open ? 0 : -1;
      line.querySelector(".lb-more").tabIndex = open ? 0 : -1;
    }
    this.current()?.focus({ preventScroll: true });
    this.reveal();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell("open", name), now ? 0 : SETTLE);
  }

  current() {
    return [...this.body.querySelectorAll(".lb-layer")].find((line) => line.dataset.name === this.selected);
  }

  /** Scroll the open row, or the fault, into sight, inside the stack only. */
  reveal() {
    const fault = this.body.querySelector(".lb-fault");
    const shown = fault && fault !== this.revealed ? fault : this.current();
    if (fault) this.revealed = fault;
    if (!shown) return;
    const inside = this.body.getBoundingClientRect(), place = shown.getBoundingClientRect();
    if (place.top < inside.top) this.body.scrollTop -= inside.top - place.top;
    if (place.bottom > inside.bottom) this.body.scrollTop += place.bottom - inside.bottom;
  }

  key(event) {
    const names = this.data.rows.map((row) => row.name);
    const at = names.indexOf(this.selected);
    if (event.target.closest(".lb-menu")) return this.menuKey(event);
    if (event.target.closest("button") || at < 0) return;
    const verb = { ArrowUp: "up", ArrowDown: "down" }[event.key];
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: names.length - 1 }[event.key];
    if (event.altKey && verb) this.tell(verb, names[at]);
    else if (to !== undefined) this.choose(names[Math.max(0, Math.min(names.length - 1, to))]);
    else if (event.key === "Delete") this.tell("delete", names[at]);
    else if (event.key === "Enter" || event.key === " ") this.menu(names[at]);
    else return;
    event.preventDefault();
  }

  // ── the menu of a row ──

  menu(name) {
    const again = this.opened?.dataset.of === name;
    this.close();
    if (again) return;
    const { words } = this.data;
    const verbs = ["up", "down", "copy", "below", "delete"];
    const act = (verb) => (verb === "below" ? this.below(name) : this.tell(verb, name));
    this.opened = el("div", { className: "lb-menu", role: "menu" }, ...verbs.map((verb) =>
      el("button", { type: "button", role: "menuitem", onclick: () => act(verb) }, words[verb])));
    this.opened.dataset.of = name;
    const line = [...this.body.querySelectorAll(".lb-layer")].find((one) => one.dataset.name === name);
    const place = line.getBoundingClientRect(), all = this.root.getBoundingClientRect();
    this.root.append(this.opened);
    const height = this.opened.offsetHeight;
    this.opened.style.top = `${Math.max(0, Math.min(place.bottom - all.top, all.height - height - 6))}px`;
    this.opened.firstChild.focus();
  }

  menuKey(event) {
    const items = [...this.opened.children];
    const at = items.indexOf(document.activeElement);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[(to + items.length) % items.length].focus();
    else if (event.key === "Escape" || event.key === "Tab") this.close();
    else return;
    event.preventDefault();
  }

  close() {
    const inside = this.opened?.contains(document.activeElement);
    this.opened?.remove();
    this.opened = null;
    if (inside) this.current()?.focus({ preventScroll: true }); // or the keyboard would begin anew at the top of the page
  }

  /** Open the layer, and lead to the choice of what comes below it. */
  below(name) {
    this.choose(name, true);
    const choice = document.querySelector(this.data.add);
    choice?.focus();
    choice?.click();
  }
}
