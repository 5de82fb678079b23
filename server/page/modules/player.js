/**
 * Plays several tracks at once on one clock; one of them is audible.
 *
 *   track ─ voice (buffer source → fade) ─┐
 *                                         ├─ track gain (0, or its level) ─┐
 *   track ─ voice ────────────────────────┴─ track gain ───────────────────┴─ destination
 *
 * All voices start at the same moment of the context's clock, so that a switch only moves gains: no gap, no drift.
 * A track that is added while others play is started where they are.
 */

const FADE_SECONDS = 0.008;   // two linear fades of equal signals add up to no change
const LEAD_SECONDS = 0.02;    // voices are planned so far ahead, so that all of them can make it
const END_SLACK_SECONDS = 0.05;

/** @typedef {{buffer: AudioBuffer, gain: GainNode, level: number, voice: Voice?}} Track */
/** @typedef {{node: AudioBufferSourceNode, fade: GainNode, origin: number}} Voice  origin: clock time of position 0 */

export class Player extends EventTarget {
  /** @param {BaseAudioContext} context */
  constructor(context) {
    super();
    this.context = context;
    /** @type {Map<string, Track>} */
    this.tracks = new Map();
    this.duration = 0;        // seconds, of the time line that all tracks share
    this.audible = "";          // the audible track
    this.isPlaying = false;
    this.isLooping = false;
    this._rest = 0;           // position while nothing plays
    this._origin = 0;         // clock time of position 0 while something plays
  }

  /** Seconds from the beginning of the time line. */
  get position() {
    if (!this.isPlaying) return this._rest;
    return this._wrapped(Math.max(this._rest, this.context.currentTime - this._origin));
  }

  /** Begin a new time line without tracks. */
  open(seconds) {
    this.pause();
    for (const id of [...this.tracks.keys()]) this.remove(id);
    this.duration = seconds;
    this.audible = "";
    this.seek(0);
  }

  /** A buffer that is a frame shorter than the time line would drift when it loops: see `fitted`. */
  add(id, buffer, level = 1) {
    this.remove(id);
    const gain = this.context.createGain();
    gain.gain.value = 0;
    gain.connect(this.context.destination);
    const track = { buffer: fitted(this.context, buffer, this.duration), gain, level, voice: null };
    this.tracks.set(id, track);
    if (this.isPlaying) this._start(track, this.context.currentTime + LEAD_SECONDS);
    if (!this.audible) this.hear(id);
  }

  remove(id) {
    const track = this.tracks.get(id);
    if (!track) return;
    this._stop(track);
    this.tracks.delete(id);
    if (this.audible === id) this.hear([...this.tracks.keys()][0] ?? "");
  }

  /** Switch to a track, in time. */
  hear(id) {
    if (id && !this.tracks.has(id)) return;
    this.audible = id;
    this._levels();
    this._tell("audible");
  }

  /** The level of a track when it is audible; 1: unchanged. */
  setLevel(id, level) {
    const track = this.tracks.get(id);
    if (!track) return;
    track.level = level;
    this._levels();
  }

  async play() {
    if (this.isPlaying || !this.tracks.size) return;
    if (this.context.state === "suspended" && this.context instanceof AudioContext) await this.context.resume();
    this._begin();
    this._tell("play");
  }

  pause() {
    if (!this.isPlaying) return;
    this._rest = this.position;
    this._halt();
    this._tell("pause");
  }

  toggle() {
    return this.isPlaying ? this.pause() : this.play();
  }

  seek(seconds) {
    const wasPlaying = this.isPlaying;
    if (wasPlaying) this._halt();
    this._rest = Math.min(Math.max(seconds, 0), this.duration);
    if (wasPlaying) this._begin();
    this._tell("seek");
  }

  setLooping(isLooping) {
    const position = this.position;
    this.isLooping = isLooping;
    if (this.isPlaying) this.seek(position);
  }

  _wrapped(seconds) {
    return this.isLooping && this.duration ? seconds % this.duration : Math.min(seconds, this.duration);
  }

  _begin() {
    if (this._rest >= this.duration - 1e-3) this._rest = 0;
    const when = this.context.currentTime + LEAD_SECONDS;
    this._origin = when - this._rest;
    this.isPlaying = true;
    for (const track of this.tracks.values()) this._start(track, when);
  }

  _halt() {
    this.isPlaying = false;
    for (const track of this.tracks.values()) this._stop(track);
  }

  _start(track, when) {
    const node = this.context.createBufferSource();
    const fade = this.context.createGain();
    node.buffer = track.buffer;
    node.loop = this.isLooping;
    node.connect(fade).connect(track.gain);
    fade.gain.setValueAtTime(0, when);
    fade.gain.linearRampToValueAtTime(1, when + FADE_SECONDS);
    node.start(when, this._wrapped(when - this._origin));
    track.voice = { node, fade, origin: this._origin };
    node.onended = () => this._onEnded(track, node);
  }

  _stop(track) {
    if (!track.voice) return;
    const { node, fade } = track.voice;
    const now = this.context.currentTime;
    track.voice = null;
    fade.gain.cancelScheduledValues(now);
    fade.gain.setValueAtTime(fade.gain.value, now);
    fade.gain.linearRampToValueAtTime(0, now + FADE_SECONDS);
    node.stop(now + FADE_SECONDS);
  }

  _onEnded(track, node) {
    const isOver = this.isPlaying && track.voice?.node === node && this.position >= this.duration - END_SLACK_SECONDS;
    if (!isOver) return;
    this._rest = 0;
    this._halt();
    this._tell("pause");
  }

  _levels() {
    const now = this.context.currentTime;
    for (const [id, { gain, level }] of this.tracks) {
      gain.gain.cancelScheduledValues(now);
      gain.gain.setValueAtTime(gain.gain.value, now);
      gain.gain.linearRampToValueAtTime(id === this.audible ? level : 0, now + FADE_SECONDS);
    }
  }

  _tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** The buffer with exactly as many frames as the time line has: resampling may have made one more or one less. */
function fitted(context, buffer, seconds) {
  const frames = Math.max(1, Math.round(seconds * buffer.sampleRate));
  if (buffer.length === frames) return buffer;
  return part(context, buffer, 0, frames);
}

/** Some frames of a buffer; beyond its end there is silence. */
export function part(context, buffer, first, frames) {
  const copy = context.createBuffer(buffer.numberOfChannels, Math.max(1, frames), buffer.sampleRate);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++)
    copy.copyToChannel(buffer.getChannelData(channel).subarray(first, first + frames), channel);
  return copy;
}
