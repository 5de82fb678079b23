/** Records from an audio input. MediaRecorder keeps the samples as they are where the browser can (Chromium). */

const KINDS = ["audio/webm;codecs=pcm", "audio/webm;codecs=opus", "audio/mp4", ""];
const PLAIN_INPUT = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

export class Recorder {
  /** @param {AudioContext} context */
  constructor(context) {
    this._context = context;
    this._recorder = null;
  }

  get isRecording() {
    return this._recorder?.state === "recording";
  }

  /** Ask for the input and begin. Throws Error with a cure. */
  async start() {
    const stream = await openInput();
    const mimeType = KINDS.find((kind) => !kind || MediaRecorder.isTypeSupported(kind));
    this._recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    this._pieces = [];
    this._recorder.ondataavailable = (event) => this._pieces.push(event.data);
    this._meter = this._context.createAnalyser();
    this._input = this._context.createMediaStreamSource(stream);
    this._input.connect(this._meter);
    this._recorder.start();
    this._began = performance.now();
  }

  /** @returns {Promise<Blob>} what was recorded, in the recorder's own container */
  async stop() {
    const stopped = new Promise((resolve) => this._recorder.addEventListener("stop", resolve, { once: true }));
    this._recorder.stop();
    await stopped;
    this._input.disconnect();
    this._recorder.stream.getTracks().forEach((track) => track.stop());
    return new Blob(this._pieces, { type: this._recorder.mimeType });
  }

  get seconds() {
    return (performance.now() - this._began) / 1000;
  }

  /** Peak of the last moment, 0 to 1. */
  get peak() {
    const samples = new Float32Array(this._meter.fftSize);
    this._meter.getFloatTimeDomainData(samples);
    return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
  }
}

async function openInput() {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers record on https and on this machine only. Open the page through http://localhost, "
      + "or record elsewhere and drop the file here.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: PLAIN_INPUT });
  } catch (error) {
    throw new Error("No audio input is open to this page. Connect one, and allow it in the browser's site settings. "
      + `(${error.message})`);
  }
}
