// One run's live messages: a WebSocket that comes back after a cut, and the frames' bytes made arrays again.

import { fill } from "./parts.js";

const FIRST_WAIT = 250, LONGEST_WAIT = 4000;
const UNKNOWN_RUN = [1008, 4404]; // the door says: there is no such run; asking again would not help
const REFUSED = { 4403: "refused_origin", 4421: "refused_host" }; // pages/doorkeeper.py: nor here
const TYPES = {
  uint8: Uint8Array, int8: Int8Array, bool: Uint8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array,
  uint32: Uint32Array, float32: Float32Array, float64: Float64Array, int64: BigInt64Array, uint64: BigUint64Array,
};

/** The header's fields and `arrays` as name → {data, shape}; the layout is told in core/engine/live.py. */
export function decodeFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const { name, dtype, shape, offset } of header.arrays) {
    const count = shape.reduce((a, b) => a * b, 1);
    let data = new TYPES[dtype](buffer, 4 + length + offset, count);
    if (dtype.endsWith("int64")) data = Array.from(data, Number); // BigInt mixes with no other number
    arrays[name] = { data, shape };
  }
  return { ...header, arrays };
}

/** Why the door has refused this page, from a socket's close code; undefined where it has not. */
export const refusal = (code, words) =>
  REFUSED[code] && fill(words[REFUSED[code]], { origin: location.origin, host: location.hostname });

/** Listen to a run until close(). `after` grows with what arrived, so a cut loses nothing and doubles nothing. */
export function listen(run, { onRows, onVoid, onState, onFrame, onOpen, onLost }) {
  let socket, timer, offset = 0, wait = FIRST_WAIT, closed = false, opened = 0;
  const send = (message) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

  function open() {
    const url = new URL("../live", import.meta.url); // the door may stand under a base path; this file does too
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ run, after: offset });
    socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => onOpen(opened++ > 0);
    socket.onmessage = ({ data }) => {
      wait = FIRST_WAIT; // not in onopen: a door that accepts and closes at once must not be asked four times a second
      if (typeof data !== "string") return onFrame(decodeFrame(data));
      const message = JSON.parse(data);
      if (message.rows) {
        if (message.after < offset) onVoid(); // rows were taken back: all come anew
        offset = message.offset;
        onRows(message.rows, message);
      }
      if (message.state) onState(message.state);
    };
    socket.onclose = ({ code }) => {
      if (closed) return;
      const unknown = UNKNOWN_RUN.includes(code);
      onLost(unknown, code);
      if (unknown || code in REFUSED) return;
      timer = setTimeout(open, code === 1000 ? LONGEST_WAIT : wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    };
  }

  open();
  return {
    send,
    close() {
      closed = true;
      clearTimeout(timer);
      socket.close();
    },
  };
}
