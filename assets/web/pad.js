// Ink on a pad of 28×28 pixels, kept ten times as fine; the picture that is made of it; and the picture as a short text.
// The text is that of core/spec/drawings.py: 16 levels, two pixels a byte, zlib, URL-safe base64.

export const SIDE = 28;
const FINE = 10, WHOLE = SIDE * FINE, LIT = 0.4 * 255, LARGEST = 4, KEPT = 20;

const sheet = () => {
  const context = new OffscreenCanvas(WHOLE, WHOLE).getContext("2d", { willReadFrequently: true });
  context.fillRect(0, 0, WHOLE, WHOLE);
  return context;
};

export class Ink {
  context = sheet();
  empty = true;
  before = []; // sheets to go back to

  /** Remember how it is now, for undo. */
  keep() {
    this.before.push([this.context.getImageData(0, 0, WHOLE, WHOLE), this.empty]);
    this.before.splice(0, this.before.length - KEPT);
  }

  undo() {
    const last = this.before.pop();
    if (!last) return;
    this.context.putImageData(last[0], 0, 0);
    this.empty = last[1];
  }

  clear() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, WHOLE, WHOLE);
    this.empty = true;
  }

  /** A line between two places [column, row], in pixels of the picture like the width. */
  line([x0, y0], [x1, y1], width, erase) {
    Object.assign(this.context, { lineCap: "round", lineWidth: width * FINE, strokeStyle: erase ? "#000" : "#fff" });
    this.context.beginPath();
    this.context.moveTo(x0 * FINE, y0 * FINE);
    this.context.lineTo(x1 * FINE + 0.01, y1 * FINE); // a line of no length would draw nothing
    this.context.stroke();
    this.empty &&= erase;
  }

  /** Put a grey picture of bytes there, `high` rows of `wide`; one of 28×28 comes back from `raw` as it went in. */
  put(bytes, wide = SIDE, high = SIDE) {
    const small = new OffscreenCanvas(wide, high).getContext("2d"), image = small.createImageData(wide, high);
    bytes.forEach((v, i) => image.data.set([v, v, v, 255], 4 * i));
    small.putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = wide !== SIDE || high !== SIDE;
    this.context.drawImage(small.canvas, 0, 0, WHOLE, WHOLE);
    this.empty = bytes.every((v) => v === 0);
  }

  /** Move everything by whole pixels of the picture; what leaves is lost. */
  shift(columns, rows) {
    const was = this.context.getImageData(0, 0, WHOLE, WHOLE);
    this.clear();
    this.context.putImageData(was, columns * FINE, rows * FINE);
    this.empty = false;
  }

  /** The picture as it stands: bytes [28 × 28], each the mean of its place. */
  raw() {
    return bytes(reduced(this.context));
  }

  /** As the data set's pictures are: as large, in the same place, as soft; see `habit` in core/worker/look/draw.py. */
  fitted({ box, middle: [row, column], blur }) {
    const found = extent(this.context);
    if (!found) return this.raw();
    const { left, right, top, bottom, x, y } = found;
    const scale = Math.min(LARGEST, (box * WHOLE) / Math.max(right - left, bottom - top));
    const place = (middle, mass, low, high) => { // the mass to the middle, unless that would cut something off
      const at = middle * WHOLE - scale * mass, least = -scale * low, most = WHOLE - scale * high;
      return least <= most ? Math.min(Math.max(at, least), most) : at;
    };
    const moved = (this.moved ??= sheet());
    moved.resetTransform();
    moved.fillRect(0, 0, WHOLE, WHOLE);
    moved.setTransform(scale, 0, 0, scale, place(column, x, left, right), place(row, y, top, bottom));
    moved.drawImage(this.context.canvas, 0, 0);
    return bytes(softened(reduced(moved), blur * SIDE));
  }
}

/** Where the lit places are (half-open), and their centre of mass; null where none is. */
function extent(context) {
  const { data } = context.getImageData(0, 0, WHOLE, WHOLE);
  let [left, right, top, bottom, mass, x, y] = [WHOLE, 0, WHOLE, 0, 0, 0, 0];
  for (let row = 0; row < WHOLE; row++) {
    for (let column = 0; column < WHOLE; column++) {
      const v = data[4 * (row * WHOLE + column)];
      if (v <= LIT) continue;
      [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
      [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
      mass += v;
      x += v * (column + 0.5);
      y += v * (row + 0.5);
    }
  }
  return mass ? { left, right, top, bottom, x: x / mass, y: y / mass } : null;
}

/** [28 × 28] means of the fine places. */
function reduced(context) {
  const { data } = context.getImageData(0, 0, WHOLE, WHOLE), picture = new Float32Array(SIDE * SIDE);
  for (let row = 0; row < WHOLE; row++) {
    const start = Math.floor(row / FINE) * SIDE;
    for (let column = 0; column < WHOLE; column++) {
      picture[start + Math.floor(column / FINE)] += data[4 * (row * WHOLE + column)] / (FINE * FINE);
    }
  }
  return picture;
}

/** Blurred by a Gaussian, as bright at its brightest as before. */
function softened(picture, sigma) {
  if (sigma < 0.3) return picture; // less than the pixels themselves blur
  const reach = Math.ceil(3 * sigma), most = Math.max(...picture);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / sigma) ** 2));
  const along = (from, step) => from.map((_, i) => {
    const at = Math.floor(i / step) % SIDE;
    return kernel.reduce((sum, weight, k) => {
      const place = at + k - reach;
      return place < 0 || place >= SIDE ? sum : sum + weight * from[i + (k - reach) * step];
    }, 0);
  });
  const soft = along(along(picture, 1), SIDE), peak = Math.max(...soft);
  return peak > 0 ? soft.map((v) => (v * most) / peak) : soft;
}

const bytes = (picture) => Uint8Array.from(picture, (v) => Math.min(255, Math.max(0, Math.round(v))));

async function through(data, stream) {
  return new Uint8Array(await new Response(new Blob([data]).stream().pipeThrough(stream)).arrayBuffer());
}

/** Bytes [28 × 28] → text. */
export async function packed(picture) {
  const level = (i) => Math.round((picture[i] / 255) * 15);
  const pairs = Uint8Array.from({ length: (SIDE * SIDE) / 2 }, (_, i) => (level(2 * i) << 4) | level(2 * i + 1));
  const squeezed = await through(pairs, new CompressionStream("deflate"));
  return btoa(String.fromCharCode(...squeezed)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Text → bytes [28 × 28]. */
export async function unpacked(text) {
  const squeezed = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const pairs = await through(squeezed, new DecompressionStream("deflate"));
  return Uint8Array.from({ length: SIDE * SIDE }, (_, i) => 17 * (i % 2 ? pairs[i >> 1] & 15 : pairs[i >> 1] >> 4));
}
