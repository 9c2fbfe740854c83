// A Plotly figure that Python makes and the browser keeps: redrawn in place, in the theme's colours, with its clicks told.
import { BLUE_ORANGE, loadPlotly, plain } from "./charts.js";
import { el, keep } from "./parts.js";

export const mount = (component) => keep(component, Figure, "figure.css");
const record = (window.__layerlabFigures ??= { draws: 0, drawn: {} });

class Figure {
  constructor(parent) {
    this.plot = el("div", { className: "lf-plot" });
    this.png = el("button", { type: "button", className: "lf-png", onclick: () => this.download() });
    this.root = el("div", { className: "lf-figure", role: "group" }, this.plot, this.png);
    parent.append(this.root);
    this.resized = new ResizeObserver(() => this.resize());
    this.resized.observe(this.root);
    this.pulse = setInterval(() => this.each(), 1000);
  }

  show(data) {
    this.data = data;
    this.root.setAttribute("aria-label", data.alt);
    this.root.style.height = `${data.height}px`;
    this.png.textContent = "PNG";
    this.png.title = data.words.png;
    this.draw();
  }

  /** One drawing after the other: Plotly loses its way when it is given a figure while it still draws the one before. */
  async draw() {
    this.wanted = true;
    if (this.drawing) return;
    this.drawing = true;
    try {
      while (this.wanted) {
        this.wanted = false;
        await this.drawOnce();
      }
    } finally {
      this.drawing = false;
    }
    this.resize();
  }

  async drawOnce() {
    const Plotly = await loadPlotly();
    const { data } = this, figure = JSON.parse(data.figure), colors = this.colors();
    if (!this.root.isConnected) return;
    this.theme = JSON.stringify(colors);
    this.width = this.root.clientWidth;
    rescale(figure, colors.signed);
    await Plotly.react(this.plot, { data: figure.data, layout: dressed(figure.layout, colors, data), frames: figure.frames ?? [],
      config: { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: "reset" } });
    if (!this.listening) {
      this.listening = true;
      this.plot.on("plotly_click", (event) => this.clicked(event.points[0]));
    }
    record.draws++;
    record.drawn[data.name] = (record.drawn[data.name] ?? 0) + 1;
  }

  colors() {
    const style = getComputedStyle(this.root), get = (name) => style.getPropertyValue(name).trim();
    const list = (name) => get(name).split(",").filter(Boolean).map((color) => color.trim());
    return { text: get("--st-text-color") || style.color, ground: get("--st-background-color") || "#ffffff", line: plain(getComputedStyle(this.png).borderTopColor),
      font: style.fontFamily, lines: list("--st-chart-categorical-colors"), signed: list("--st-chart-diverging-colors") };
  }

  clicked(point) {
    if (!this.data.clicks || !point) return;
    const { x, y, z, text, customdata, curveNumber } = point;
    this.component.setTriggerValue("click", { curve: curveNumber, x: x ?? null, y: y ?? null, z: z ?? null, text: text ?? null,
      customdata: customdata ?? null });
  }

  resize() {
    if (this.drawing || !this.listening || !this.root.clientWidth || this.width === this.root.clientWidth) return;
    this.width = this.root.clientWidth;
    window.Plotly.Plots.resize(this.plot);
  }

  /** Once a second: has the theme changed, or has the page let go of us? */
  each() {
    if (this.drawing) return;
    if (!this.root.isConnected) {
      clearInterval(this.pulse);
      this.resized.disconnect();
      window.Plotly?.purge(this.plot);
    } else if (this.theme && JSON.stringify(this.colors()) !== this.theme) this.draw();
  }

  download() {
    const { clientWidth: width, clientHeight: height } = this.plot, { ground } = this.colors();
    const before = this.plot.layout.paper_bgcolor;
    this.plot.layout.paper_bgcolor = ground;
    window.Plotly.downloadImage(this.plot, { format: "png", width, height, scale: 2, filename: `layerlab-${this.data.name}` })
      .finally(() => { this.plot.layout.paper_bgcolor = before; });
  }
}

/** The figure's signed colour scales become the theme's, whose zero is as quiet as the ground. */
function rescale({ data, layout }, ours) {
  if (!ours.length) return;
  const scale = ours.map((color, i) => [i / (ours.length - 1), color]);
  const holders = [...data, ...data.map((trace) => trace.marker), ...Object.keys(layout).map((name) => /^coloraxis/.test(name) && layout[name])];
  for (const one of holders) if (one?.colorscale?.map?.(([, color]) => color).join() === BLUE_ORANGE) one.colorscale = scale;
}

/** A scene of three axes, each with what the theme decides where the figure does not. */
function deep(scene, axis) {
  const made = { ...scene };
  for (const name of ["xaxis", "yaxis", "zaxis"]) made[name] = { ...axis, ...scene[name] };
  return made;
}

/** The figure's layout with what the theme decides where the figure does not. */
function dressed(layout, colors, data) {
  const axis = { gridcolor: colors.line, linecolor: colors.line, zerolinecolor: colors.line };
  const made = {
    margin: { l: 56, r: 12, t: 12, b: 44 }, colorway: colors.lines.length ? colors.lines : undefined, uirevision: data.name, ...layout,
    height: data.height, autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: colors.font, size: 12, color: colors.text, ...layout.font },
    hoverlabel: { bgcolor: colors.ground, bordercolor: colors.line, font: { color: colors.text, size: 12 }, ...layout.hoverlabel },
  };
  for (const name of Object.keys(made)) if (/^[xy]axis\d*$/.test(name)) made[name] = { ...axis, ...made[name] };
  for (const name of Object.keys(made)) if (/^scene\d*$/.test(name)) made[name] = deep(made[name], axis);
  made.xaxis ??= axis;
  made.yaxis ??= axis;
  return made;
}
