/**
 * How loud audio is, for a fair comparison: integrated loudness after ITU-R BS.1770-4, its two filters as biquads
 * (their corner values, not the table's coefficients, so that any sample rate will do; within 0.1 LU of them).
 */

const BLOCK_SECONDS = 0.4;
const HOP_SECONDS = 0.1;
const ABSOLUTE_GATE = -70;    // LUFS
const RELATIVE_GATE = -10;    // LU below the mean of what passed the first gate
const QUIETER_AT_MOST_DB = 12;

/** LUFS of a buffer; -Infinity for silence. @param {AudioBuffer} buffer */
export async function loudness(buffer) {
  const powers = blockPowers(await weighted(buffer));
  const audible = powers.filter((power) => lufs(power) > ABSOLUTE_GATE);
  const gate = lufs(mean(audible)) + RELATIVE_GATE;
  return lufs(mean(audible.filter((power) => lufs(power) > gate)));
}

/** Factors that make all tracks as loud as the quietest: nothing is made louder, so nothing clips. */
export function matchedLevels(loudnesses) {
  const target = Math.min(...loudnesses.filter(Number.isFinite));
  return loudnesses.map((value) => {
    const change = Number.isFinite(value) ? Math.max(target - value, -QUIETER_AT_MOST_DB) : 0;
    return 10 ** (change / 20);
  });
}

async function weighted(buffer) {
  const context = new OfflineAudioContext(buffer.numberOfChannels, buffer.length, buffer.sampleRate);
  const source = new AudioBufferSourceNode(context, { buffer });
  const head = new BiquadFilterNode(context, { type: "highshelf", frequency: 1500, gain: 4 });
  const low = new BiquadFilterNode(context, { type: "highpass", frequency: 38, Q: -6 });   // Q in dB: 0.5
  source.connect(head).connect(low).connect(context.destination);
  source.start();
  return context.startRendering();
}

/** Mean square of overlapping blocks, summed over channels. */
function blockPowers(buffer) {
  const hop = Math.round(HOP_SECONDS * buffer.sampleRate);
  const hops = hopPowers(buffer, hop);
  const wide = Math.round(BLOCK_SECONDS / HOP_SECONDS);
  if (hops.length <= wide) return [mean(hops)];
  return hops.slice(0, 1 - wide).map((_, first) => mean(hops.slice(first, first + wide)));
}

function hopPowers(buffer, hop) {
  const powers = new Array(Math.max(1, Math.floor(buffer.length / hop))).fill(0);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let block = 0; block < powers.length; block++) {
      const end = Math.min((block + 1) * hop, samples.length);
      let sum = 0;
      for (let i = block * hop; i < end; i++) sum += samples[i] * samples[i];
      powers[block] += sum / (end - block * hop);
    }
  }
  return powers;
}

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0);
const lufs = (power) => -0.691 + 10 * Math.log10(power);
