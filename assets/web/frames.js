// The current sample at one layer and the twelve test pictures, painted from a frame's bytes.

const GAP = 4, SMALLEST = 14;

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const signed = ({ low, high }) => low < 0 && high > 0;

function mixed(colors, t) {
  const at = Math.min(Math.max(t, 0), 1) * (colors.length - 1), i = Math.min(Math.floor(at), colors.length - 2);
  const a = rgb(colors[i]), b = rgb(colors[i + 1]);
  return a.map((v, k) => Math.round(v + (b[k] - v) * (at - i)));
}

/** 256 colours for the bytes: magnitudes from low to high; signed values around a neutral zero, both arms alike. */
function table(meta, { sequential, diverging }) {
  const { low, high } = meta, most = Math.max(-low, high), colors = new Uint32Array(256);
  for (let q = 0; q < 256; q++) {
    const value = low + (q / 255) * (high - low);
    const [r, g, b] = signed(meta) ? mixed(diverging, (value / most + 1) / 2) : mixed(sequential, q / 255);
    colors[q] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return colors;
}

/** The scale's ends as a CSS gradient and three numbers, for the small legend. */
export function legend(meta, { sequential, diverging }) {
  const most = Math.max(-meta.low, meta.high);
  return { gradient: `linear-gradient(90deg, ${(signed(meta) ? diverging : sequential).join(",")})`,
    ends: signed(meta) ? [-most, 0, most] : [meta.low, null, meta.high] };
}

export const number = (v) => (v === null || v === undefined ? "" : Number.isFinite(v)
  ? v.toLocaleString(undefined, { maximumSignificantDigits: 3 }) : String(v));

export const valueAt = (frame, i) => frame.meta.low + (frame.arrays.view.data[i] / 255) * (frame.meta.high - frame.meta.low);

/** [count, height, width] of what is drawn as tiles: maps and heads as they are, states as one tile. */
function tilesOf({ meta, arrays: { view } }) {
  return view.shape.length === 3 ? view.shape : meta.view === "states" ? [1, ...view.shape] : [1, 1, view.shape[0]];
}

/** Where the tiles go: as large as they can be; when even the smallest do not fit, the first of them. */
function arrange([count, h, w], width, height, stretch) {
  if (stretch) return { columns: 1, shown: 1, tileW: width, tileH: height, left: 0, top: 0 };
  let shown = count, best;
  for (;;) {
    best = { size: 0, columns: 1, rows: shown };
    for (let columns = 1; columns <= shown; columns++) {
      const rows = Math.ceil(shown / columns);
      const size = Math.min((width - GAP * (columns - 1)) / columns / w, (height - GAP * (rows - 1)) / rows / h);
      if (size > best.size) best = { size, columns, rows };
    }
    if (best.size * Math.max(w, h) >= SMALLEST || shown <= 1) break;
    shown = Math.floor(shown * 0.8); // floor: it must get smaller, also from 4 on
  }
  const tileW = Math.max(1, Math.floor(best.size * w)), tileH = Math.max(1, Math.floor(best.size * h));
  return { columns: best.columns, shown, tileW, tileH, left: 0, top: 0 };
}

/** Paint the view; the answer tells which cell is under a point and where a cell lies (CSS pixels). */
export function paintView(canvas, frame, colors) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  if (frame.meta.view === "vector") return paintBars(context, frame, colors, width, height);
  context.imageSmoothingEnabled = false;
  const [count, h, w] = tilesOf(frame), place = arrange([count, h, w], width, height, frame.meta.view === "states");
  const { columns, shown, tileW, tileH } = place, source = stack(frame, shown, h, w, colors);
  const corner = (tile) => [(tile % columns) * (tileW + GAP), Math.floor(tile / columns) * (tileH + GAP)];
  for (let tile = 0; tile < shown; tile++) context.drawImage(source, 0, tile * h, w, h, ...corner(tile), tileW, tileH);
  return {
    shown, count, shape: [count, h, w],
    find(x, y) {
      const column = Math.floor(x / (tileW + GAP)), row = Math.floor(y / (tileH + GAP)), tile = row * columns + column;
      const j = Math.floor(((x - column * (tileW + GAP)) / tileW) * w), i = Math.floor(((y - row * (tileH + GAP)) / tileH) * h);
      return column < columns && tile >= 0 && tile < shown && i >= 0 && i < h && j >= 0 && j < w ? [tile, i, j] : null;
    },
    rect([tile, i, j]) {
      const [left, top] = corner(tile);
      return [left + (j / w) * tileW, top + (i / h) * tileH, tileW / w, tileH / h];
    },
  };
}

/** All tiles under one another on a canvas of one pixel per value: one putImageData instead of one per map. */
function stack(frame, shown, h, w, scales) {
  const source = new OffscreenCanvas(w, h * shown), context = source.getContext("2d");
  const image = context.createImageData(w, h * shown), pixels = new Uint32Array(image.data.buffer);
  const { data } = frame.arrays.view, colors = table(frame.meta, scales);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[data[i]];
  context.putImageData(image, 0, 0);
  return source;
}

function paintBars(context, frame, colors, width, height) {
  const { data } = frame.arrays.view, n = data.length, low = Math.min(0, frame.meta.low), high = Math.max(0, frame.meta.high);
  const y = (v) => 4 + (height - 8) * (1 - (v - low) / (high - low || 1)), step = width / n, zero = y(0), lut = table(frame.meta, colors);
  for (let i = 0; i < n; i++) {
    const top = y(valueAt(frame, i)), c = lut[data[i]];
    context.fillStyle = `rgb(${c & 255},${(c >> 8) & 255},${(c >> 16) & 255})`;
    context.fillRect(i * step, Math.min(top, zero), Math.max(step - (step > 3 ? 1 : 0), 0.5), Math.max(Math.abs(top - zero), 0.5));
  }
  context.fillStyle = colors.muted;
  context.fillRect(0, zero - 0.5, width, 1);
  context.font = `11px ${colors.font}`;
  // the bars' own axis: its two ends and zero; each end on a plate of the ground, for a bar may lie under it
  for (const [value, at] of low < 0 ? [[high, 12], [low, height - 4]] : [[high, 12]]) {
    context.fillStyle = colors.ground;
    context.fillRect(0, at - 12, context.measureText(number(value)).width + 6, 16);
    context.fillStyle = colors.muted;
    context.fillText(number(value), 3, at);
  }
  return {
    shown: n, count: n, shape: [1, 1, n],
    find: (x) => (x >= 0 && x < width ? [0, 0, Math.floor(x / step)] : null),
    rect: ([, , i]) => [i * step, 0, step, height],
  };
}

/** What a test sample looks like, painted on a small canvas: a picture, a line of numbers or a point in the plane. */
export function paintSample(canvas, { arrays: { pictures, sequences, marks, points }, meta }, index, colors) {
  const row = ({ data, shape }) => data.subarray(index * shape[1], (index + 1) * shape[1]);
  if (pictures) paintPicture(canvas, pictures, index);
  if (sequences) paintLine(canvas, row(sequences), marks && row(marks), colors);
  if (points) paintPoint(canvas, row(points), meta.range, colors);
}

/** One test picture at one pixel per value; CSS makes it larger, pixelated. */
function paintPicture(canvas, { data, shape }, index) {
  const [, h, w, channels = 1] = shape;
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d"), image = context.createImageData(w, h), start = index * h * w * channels;
  for (let i = 0; i < h * w; i++) {
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = data[start + i * channels + (channels === 1 ? 0 : k)];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const SIDE = 96, INSET = 6; // of the canvases for lines and points

function paintLine(canvas, values, marks, colors) {
  const low = Math.min(...values), high = Math.max(...values), context = canvas.getContext("2d"), span = SIDE - 2 * INSET;
  const place = (v, i) => [INSET + (i / (values.length - 1 || 1)) * span, SIDE - INSET - ((v - low) / (high - low || 1)) * span];
  canvas.width = canvas.height = SIDE;
  context.strokeStyle = context.fillStyle = colors.text;
  context.lineWidth = marks ? 1.5 : 3;
  values.forEach((v, i) => context.lineTo(...place(v, i)));
  context.stroke();
  values.forEach((v, i) => marks?.[i] && dot(context, ...place(v, i)));
}

/** A point in the plane, whose both axes run over `range`; a cross of lines where they are zero. */
function paintPoint(canvas, [x, y], [low, high], colors) {
  const context = canvas.getContext("2d"), at = (v) => INSET + ((v - low) / (high - low || 1)) * (SIDE - 2 * INSET);
  canvas.width = canvas.height = SIDE;
  context.fillStyle = colors.muted;
  if (low < 0 && high > 0) {
    context.fillRect(at(0), 0, 1, SIDE);
    context.fillRect(0, SIDE - at(0), SIDE, 1);
  }
  context.fillStyle = colors.text;
  dot(context, at(x), SIDE - at(y));
}

function dot(context, x, y) {
  context.beginPath();
  context.arc(x, y, INSET, 0, 2 * Math.PI);
  context.fill();
}

/** The words of row `index` of a token array; −1 ends it. */
export function tokenText({ data, shape }, index, vocabulary) {
  const row = Array.from(data.slice(index * shape[1], (index + 1) * shape[1])).filter((t) => t >= 0);
  const words = row.map((t) => vocabulary?.[t] ?? String(t));
  return words.join(words.every((word) => word.length === 1) ? "" : " ");
}
