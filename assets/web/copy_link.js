// A button that copies the page's address, which says all that is chosen, and tells that it has done so.
import { el, keep } from "./parts.js";

export const mount = (component) => keep(component, CopyLink);
const TOLD = 2500; // milliseconds that "copied" stands

class CopyLink {
  constructor(parent) {
    this.button = el("button", { type: "button", className: "lb-copy", onclick: () => this.copy() });
    this.button.style.cssText = "font:inherit;font-size:13px;color:inherit;background:none;border:0;padding:6px 0;cursor:pointer;white-space:nowrap";
    this.button.setAttribute("aria-live", "polite");
    this.root = this.button;
    parent.append(this.root);
  }

  show(data) {
    this.words = data.words;
    if (!this.timer) this.button.textContent = data.words.copy;
    this.button.title = data.words.help;
  }

  async copy() {
    const copied = await written(location.href);
    this.button.textContent = copied ? this.words.copied : this.words.refused;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.button.textContent = this.words.copy;
    }, TOLD);
  }
}

/** Browsers give the clipboard only to safe addresses; elsewhere a selected text field does. */
async function written(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = el("textarea", { value: text });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
