/** AIFF and AIFF-C, which Chromium and Firefox do not decode: integers of 8 to 32 bits in both orders, and floats. */

const INTEGERS = ["NONE", "twos", "sowt", "in24", "in32"];   // sowt is "twos" backwards, and so are its bytes

/** @param {ArrayBuffer} bytes @returns {{channels: Float32Array[], rate: number}} Throws RangeError or TypeError. */
export function decodeAiff(bytes) {
  const view = new DataView(bytes);
  const chunks = chunksOf(view);
  const format = formatAt(view, chunks.COMM);
  const first = chunks.SSND.at + 8 + view.getUint32(chunks.SSND.at);
  const read = sampleReader(view, format);
  const channels = Array.from({ length: format.channels }, () => new Float32Array(format.frames));
  for (let frame = 0, at = first; frame < format.frames; frame++)
    for (const channel of channels) {
      channel[frame] = read(at);
      at += format.bytes;
    }
  return { channels, rate: format.rate };
}

function chunksOf(view) {
  const chunks = {};
  for (let at = 12; at + 8 <= view.byteLength;) {
    const size = view.getUint32(at + 4);
    chunks[tag(view, at)] = { at: at + 8, size };
    at += 8 + size + (size % 2);
  }
  return chunks;
}

function formatAt(view, { at, size }) {
  const bits = view.getUint16(at + 6);
  return {
    channels: view.getUint16(at), frames: view.getUint32(at + 2), bytes: Math.ceil(bits / 8),
    rate: extended(view, at + 8), kind: size > 18 ? tag(view, at + 18) : "NONE",
  };
}

/** The sample rate is an 80-bit float: exponent, then 64 bits of which 32 are plenty. */
function extended(view, at) {
  return view.getUint32(at + 2) * 2 ** ((view.getUint16(at) & 0x7fff) - 16383 - 31);
}

function sampleReader(view, { kind, bytes }) {
  if (kind.toLowerCase() === "fl32") return (at) => view.getFloat32(at);
  if (!INTEGERS.includes(kind)) throw new TypeError(`AIFF-C of kind ${kind} is compressed`);
  const isLittle = kind === "sowt";
  const readers = {
    1: (at) => view.getInt8(at) / 2 ** 7,
    2: (at) => view.getInt16(at, isLittle) / 2 ** 15,
    3: (at) => (isLittle ? view.getInt8(at + 2) * 2 ** 16 + view.getUint16(at, true)
      : view.getInt8(at) * 2 ** 16 + view.getUint16(at + 1)) / 2 ** 23,
    4: (at) => view.getInt32(at, isLittle) / 2 ** 31,
  };
  return readers[bytes];
}

const tag = (view, at) => String.fromCharCode(...new Uint8Array(view.buffer, at, 4));
