// The master's clock, as far as one can know it here: what it said last, plus the time since.
//
// The browser's own clock may be wrong; only differences of it are used.

export class MasterClock {
  #said = null;
  #at = 0;

  /** Take the master's time, seconds since the epoch. */
  hear(wall) {
    this.#said = wall;
    this.#at = performance.now();
  }

  /** Return the master's time now, or `null` if it was never told. */
  now() {
    return this.#said === null ? null : this.#said + (performance.now() - this.#at) / 1000;
  }
}
