/** A buffer as a WAV file of 32-bit floats: nothing of a recording is lost. */

const HEADER_BYTES = 44;
const FLOAT_FORMAT = 3;

/** @param {AudioBuffer} buffer @returns {Blob} */
export function wavOf(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  const samples = new Float32Array(buffer.length * channels.length);
  channels.forEach((channel, index) => {
    for (let frame = 0; frame < channel.length; frame++) samples[frame * channels.length + index] = channel[frame];
  });
  return new Blob([header(buffer, samples.byteLength), samples], { type: "audio/wav" });
}

function header({ numberOfChannels: channels, sampleRate: rate }, bytes) {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const text = (at, word) => [...word].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  const number = (at, size, value) => view[`setUint${size}`](at, value, true);
  text(0, "RIFF"); number(4, 32, HEADER_BYTES - 8 + bytes); text(8, "WAVE");
  text(12, "fmt "); number(16, 32, 16); number(20, 16, FLOAT_FORMAT); number(22, 16, channels);
  number(24, 32, rate); number(28, 32, rate * channels * 4); number(32, 16, channels * 4); number(34, 16, 32);
  text(36, "data"); number(40, 32, bytes);
  return view.buffer;
}
