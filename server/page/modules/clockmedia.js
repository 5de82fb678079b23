/**
 * The player in the shape of an HTMLMediaElement, so that wavesurfer draws its cursor and seeks with it.
 * Nothing is played here. `offset`: where the player's time line begins in the file that is drawn.
 */
export class ClockMedia extends EventTarget {
  /** @param {import("./player.js").Player} player */
  constructor(player, duration, offset = () => 0) {
    super();
    this._player = player;
    this._offset = offset;
    this.duration = duration;
    Object.assign(this, { volume: 1, muted: false, playbackRate: 1, seeking: false, ended: false, error: null,
                          src: "", currentSrc: "", readyState: 4 });
    this._ending = new AbortController();
    const events = { play: ["play"], pause: ["pause", "timeupdate"], seek: ["seeking", "seeked", "timeupdate"] };
    for (const [from, to] of Object.entries(events))
      player.addEventListener(from, () => to.forEach((name) => this.dispatchEvent(new Event(name))),
                              { signal: this._ending.signal });
  }

  get paused() {
    return !this._player.isPlaying;
  }

  get currentTime() {
    return this._offset() + this._player.position;
  }

  set currentTime(seconds) {
    this._player.seek(seconds - this._offset());
  }

  play() {
    return this._player.play();
  }

  pause() {
    this._player.pause();
  }

  canPlayType() {
    return "";
  }

  load() {}

  removeAttribute() {}

  remove() {
    this._ending.abort();
  }
}
