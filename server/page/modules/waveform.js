/** What wavesurfer draws: the source with its selection, and one lane per track. */

import RegionsPlugin from "../vendored/wavesurfer/regions.esm.js";
import SpectrogramPlugin from "../vendored/wavesurfer/spectrogram.esm.js";
import WaveSurfer from "../vendored/wavesurfer/wavesurfer.esm.js";
import { ClockMedia } from "./clockmedia.js";

const SOURCE_HEIGHT = 112;
const LANE_HEIGHT = 52;
const SPECTROGRAM_HEIGHT = 96;
const SHORTEST_SECONDS = 0.05;
const FFT_SAMPLES = 1024;

/** A colour of page.css as canvases want it. */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const channelsOf = (buffer) =>
  Array.from({ length: Math.min(2, buffer.numberOfChannels) }, (_, index) => buffer.getChannelData(index));

/** One waveform whose cursor is the player's. */
class Waveform {
  constructor(container, player, buffer, { height, colours, offset, plugins = [] }) {
    this._colours = colours;
    this._media = new ClockMedia(player, buffer.duration, offset);
    this.surfer = WaveSurfer.create({
      container, height, plugins, media: this._media, cursorWidth: 2, normalize: true, dragToSeek: false,
      hideScrollbar: true, ...this._drawnColours(),
    });
    this.ready = this.surfer.load("", channelsOf(buffer), buffer.duration);
  }

  /** The theme or the state has changed. */
  recolour(colours = this._colours) {
    this._colours = colours;
    this.surfer.setOptions(this._drawnColours());
  }

  destroy() {
    this._media.remove();
    this.surfer.destroy();
  }

  _drawnColours() {
    const [wave, progress] = this._colours;
    return { waveColor: colour(wave), progressColor: colour(progress), cursorColor: colour("cursor") };
  }
}

/** The whole file; dragging selects. `onselect(start, end)` in seconds, at the end of a drag. */
export class SourceView extends Waveform {
  constructor(container, player, buffer, { offset, onselect }) {
    const regions = RegionsPlugin.create();
    super(container, player, buffer,
          { height: SOURCE_HEIGHT, colours: ["wave", "wave"], offset, plugins: [regions] });
    this._regions = regions;
    this._region = null;
    this._isAdding = false;
    this._onselect = onselect;
    this._listen();
  }

  /** Show a selection; none when it is all of the file. */
  select(start, end) {
    const { duration } = this._media;
    const isAll = start <= 0 && end >= duration;
    if (isAll) return this._clear();
    if (this._region) return this._region.setOptions({ start, end });
    return this.ready.then(() => this._add(start, end));
  }

  recolour() {
    super.recolour();
    this._region?.setOptions({ color: colour("selection") });
    this._stopDragging?.();
    this._stopDragging = this._regions.enableDragSelection(this._look());
  }

  _look() {
    return { id: "selection", color: colour("selection"), minLength: SHORTEST_SECONDS };
  }

  _listen() {
    this._stopDragging = this._regions.enableDragSelection(this._look());
    this._regions.on("region-created", (region) => {
      if (this._region && this._region !== region) this._region.remove();
      this._region = region;
      region.on("click", (event) => this._seekTo(event));
      region.on("update-end", () => this._onselect(region.start, region.end));
      if (!this._isAdding) this._onselect(region.start, region.end);   // it was dragged
    });
  }

  _add(start, end) {
    this._clear();
    this._isAdding = true;
    this._regions.addRegion({ start, end, ...this._look() });
    this._isAdding = false;
  }

  /** The selection lies over the waveform and would swallow the click. */
  _seekTo(event) {
    const { left, width } = this.surfer.getWrapper().getBoundingClientRect();
    this.surfer.seekTo((event.clientX - left) / width);
  }

  _clear() {
    this._regions.clearRegions();
    this._region = null;
  }
}

/** One track of the comparison. */
export class LaneView extends Waveform {
  constructor(container, player, buffer, colours) {
    super(container, player, buffer, { height: LANE_HEIGHT, colours });
    this._container = container;
    this._spectrogram = null;
  }

  showSpectrogram(isShown) {
    if (isShown === Boolean(this._spectrogram)) return;
    if (isShown) {
      this._spectrogram = this.surfer.registerPlugin(SpectrogramPlugin.create({
        height: SPECTROGRAM_HEIGHT, fftSamples: FFT_SAMPLES, scale: "mel", colorMap: "roseus", autoGain: true,
        rangeDB: 80, frequencyMax: 16000, useWebWorker: true,
      }));
    } else {
      this.surfer.unregisterPlugin(this._spectrogram);
      this._spectrogram.destroy();
      this._spectrogram = null;
    }
  }
}
