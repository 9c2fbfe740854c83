// Pictures that become one another: a canvas, a play button and a slider. Python sends all frames at once.
import { number } from "./frames.js";
import { el, fill, keep } from "./parts.js";

export const mount = (component) => keep(component, Film, "maps.css");
const SIDE = 264, BEAT = 90; // pixels, milliseconds

class Film {
  at = 0;

  constructor(parent) {
    this.canvas = el("canvas", { role: "img" });
    this.canvas.style.cssText = `width:${SIDE}px;height:${SIDE}px`;
    this.button = el("button", { type: "button", onclick: () => this.play(this.timer === undefined) });
    this.slider = el("input", { type: "range", min: 0, step: 1, oninput: () => { this.play(false); this.go(Number(this.slider.value)); } });
    this.text = el("p");
    this.png = el("button", { type: "button", onclick: () => this.download() }, "PNG");
    this.root = el("div", { className: "lm-film" }, this.canvas, el("div", {}, this.button, this.slider, this.png), this.text);
    this.root.style.width = `${SIDE}px`;
    parent.append(this.root);
  }

  show(data) {
    if (this.data && data.frames === this.data.frames && data.shape.join() === this.data.shape.join()) {
      this.data = data;
      return;
    }
    this.data = data;
    this.bytes = Uint8Array.from(atob(data.frames), (c) => c.charCodeAt(0));
    this.slider.max = data.shape[0] - 1;
    this.slider.setAttribute("aria-label", data.words.slider);
    this.png.title = data.words.png;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.go(still ? data.shape[0] - 1 : 0);
    this.play(!still);
  }

  play(on) {
    clearInterval(this.timer);
    this.timer = undefined;
    if (on) {
      if (this.at >= this.data.shape[0] - 1) this.go(0);
      this.timer = setInterval(() => this.next(), BEAT);
    }
    this.button.textContent = on ? this.data.words.pause : this.data.words.play;
  }

  next() {
    if (!this.root.isConnected) return clearInterval(this.timer);
    if (this.at >= this.data.shape[0] - 1) return this.play(false);
    this.go(this.at + 1);
  }

  go(at) {
    const [, h, w, channels = 1] = this.data.shape, size = h * w * channels, context = this.canvas.getContext("2d");
    this.at = at;
    this.slider.value = at;
    [this.canvas.width, this.canvas.height] = [w, h];
    const image = context.createImageData(w, h);
    for (let i = 0; i < h * w; i++) {
      for (let k = 0; k < 3; k++) image.data[4 * i + k] = this.bytes[at * size + i * channels + (channels === 1 ? 0 : k)];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    const said = fill(this.data.words.at, { step: this.data.steps[at], value: number(this.data.values[at]) });
    this.text.textContent = said;
    this.slider.setAttribute("aria-valuetext", said);
    this.canvas.setAttribute("aria-label", `${this.data.words.picture} ${said}`);
  }

  download() {
    const [, h, w] = this.data.shape, scale = Math.max(1, Math.round(512 / Math.max(h, w))), canvas = el("canvas");
    [canvas.width, canvas.height] = [w * scale, h * scale];
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, 0, 0, w * scale, h * scale);
    el("a", { href: canvas.toDataURL("image/png"), download: `layerlab-maximise-${this.data.steps[this.at]}.png` }).click();
  }
}
