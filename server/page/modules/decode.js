/** From a file's bytes to samples, and to what the server takes. */

import { decodeAiff } from "./aiff.js";
import { wavOf } from "./wav.js";

// the first bytes of what the server reads; everything else that the browser can decode is sent as WAV
const FORMATS = { RIFF: "wav", RF64: "wav", fLaC: "flac", FORM: "aiff" };

/** @returns {"wav" | "flac" | "aiff" | ""} */
export function formatOf(bytes) {
  return FORMATS[String.fromCharCode(...new Uint8Array(bytes, 0, Math.min(4, bytes.byteLength)))] ?? "";
}

/**
 * Samples at the context's rate. Throws Error with a cure.
 * @param {BaseAudioContext} context @param {ArrayBuffer} bytes @returns {Promise<AudioBuffer>}
 */
export async function decode(context, bytes) {
  try {
    if (formatOf(bytes) === "aiff") return await resampled(decodeAiff(bytes), context.sampleRate);
    return await context.decodeAudioData(bytes.slice(0));   // a copy: decoding takes the bytes away
  } catch (error) {
    throw new Error("This file cannot be read as audio. WAV, FLAC, AIFF, MP3, OGG and M4A can; "
      + `export it again as WAV. (${error.message})`);
  }
}

/** What is sent for a file: itself, or the decoded samples as WAV. @returns {{blob: Blob, format: string}} */
export function uploadOf(file, bytes, buffer) {
  const format = formatOf(bytes);
  return format ? { blob: file, format } : { blob: wavOf(buffer), format: "wav" };
}

async function resampled({ channels, rate }, contextRate) {
  const frames = Math.max(1, Math.round((channels[0].length * contextRate) / rate));
  const context = new OfflineAudioContext(channels.length, frames, contextRate);
  const buffer = context.createBuffer(channels.length, channels[0].length, rate);
  channels.forEach((samples, index) => buffer.copyToChannel(samples, index));
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return context.startRendering();
}
