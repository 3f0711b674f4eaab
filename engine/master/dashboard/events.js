// The one stream of the page: what the master tells, as events of the state.
//
// It is open while the page is seen and closed while it is hidden. When it breaks, or says nothing
// for SILENCE_MS (the master says something every second), it is opened anew after a pause that
// doubles up to LONGEST_PAUSE_MS. Each new stream begins with a snapshot, so nothing is missed.
//
// An EventSource does not tell why it was refused: while nothing was ever heard, that is asked.

import { refusal } from "./api.js";
import { parse } from "./json.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const SILENCE_MS = 8_000; // several of the master's heartbeats

/** The pauses before the first, second, ... new try: 500, 1000, 2000, ... 15000, less up to half. */
export function pauseMs(failures, chance) {
  const ceiling = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
  return ceiling * (1 - chance / 2); // not all pages at once, when the master is back
}

export class Stream {
  #url;
  #tell;
  #source = null;
  #timer = null;
  #failures = 0;
  #hasHeard = false;
  #refusal = null; // why there is no stream, if the master says so

  /** `tell` is given `snapshot` and `change` with their data, and `lost` with pause and refusal. */
  constructor(url, tell) {
    this.#url = url;
    this.#tell = tell;
  }

  /** Listen for as long as `page`, a document, is visible. */
  follow(page) {
    const turn = () => (page.hidden ? this.#close() : this.#open());
    page.addEventListener("visibilitychange", turn);
    turn();
  }

  #open() {
    this.#close();
    const source = new EventSource(this.#url);
    this.#source = source;
    for (const type of ["snapshot", "change"]) {
      source.addEventListener(type, (event) => this.#heard(type, event.data));
    }
    source.onerror = () => this.#lost();
    this.#watch();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #heard(type, text) {
    this.#failures = 0;
    this.#hasHeard = true;
    this.#watch();
    this.#tell({ type, data: parse(text) });
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  #lost() {
    this.#close();
    const pause = pauseMs(this.#failures++, Math.random());
    this.#timer = setTimeout(() => this.#open(), pause);
    this.#tellLost(pause / 1000);
    if (!this.#hasHeard) this.#askWhy(pause / 1000);
  }

  async #askWhy(retryInS) {
    this.#refusal = await refusal(this.#url);
    if (this.#source === null) this.#tellLost(retryInS);
  }

  #tellLost(retryInS) {
    this.#tell({ type: "lost", retryInS, refusal: this.#hasHeard ? null : this.#refusal });
  }
}
