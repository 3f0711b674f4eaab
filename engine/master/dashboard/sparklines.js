// Two lines over the same five minutes: how many operations wait, how many are done a second.
//
// Failures are drawn on the second one's scale, as red bars: a second without one has none. The
// peak is the line's. The drawing stretches to its box; all that is text is outside of it, so that
// it does not stretch.

import * as format from "./format.js";
import { element, setAttribute, setText, svg } from "./dom.js";
import { HISTORY_S } from "./state.js";

const HEIGHT = 48;
const HEADROOM = 3; // the peak does not touch the edge
const LOWEST_BAR = 4; // one failure a second is seen beside a thousand operations

/** Return the `points` of a polyline for [time, value] pairs, the last HISTORY_S before `now`. */
export function points(pairs, now, top) {
  return pairs.map(([at, value]) => `${across(at, now)},${round(HEIGHT - tall(value, top))}`).join(" ");
}

/** Return the path of a bar for each pair whose value is not zero. */
export function bars(pairs, now, top) {
  return pairs
    .filter(([, value]) => value > 0)
    .map(([at, value]) => `M${across(at, now)} ${HEIGHT}v${round(-Math.max(LOWEST_BAR, tall(value, top)))}`)
    .join("");
}

function across(at, now) {
  return round(HISTORY_S - (now - at));
}

function highest(pairs) {
  return Math.max(0, ...pairs.map(([, value]) => value));
}

/** How tall `value` is where `top` is as tall as can be. */
function tall(value, top) {
  return (value * (HEIGHT - HEADROOM)) / Math.max(top, 1);
}

function round(n) {
  return Math.round(n * 10) / 10;
}

class Sparkline {
  #value = element("span", { class: "value" });
  #peak = element("span", { class: "peak" });
  #area = svg("polygon", { class: "area" });
  #line = svg("polyline", { class: "line" });
  #bad = svg("path", { class: "bad" });
  #drawing;

  constructor(parent, title) {
    this.#drawing = svg(
      "svg",
      { viewBox: `0 0 ${HISTORY_S} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      this.#area,
      this.#line,
      this.#bad,
    );
    const label = element("div", { class: "label" }, element("h3", { text: title }), this.#value, this.#peak);
    parent.append(element("div", { class: "sparkline" }, label, this.#drawing));
    this.title = title;
  }

  show(pairs, badPairs, now, text) {
    const peak = highest(pairs);
    const top = Math.max(peak, highest(badPairs));
    const line = points(pairs, now, top);
    const [start, end] = [line.split(",")[0], line.slice(line.lastIndexOf(" ") + 1).split(",")[0]];
    setAttribute(this.#line, "points", line);
    setAttribute(this.#area, "points", line && `${start},${HEIGHT} ${line} ${end},${HEIGHT}`);
    setAttribute(this.#bad, "d", bars(badPairs, now, top));
    setText(this.#value, text(pairs.at(-1)?.[1] ?? null));
    setText(this.#peak, pairs.length ? `peak ${text(peak)}` : "");
    setAttribute(this.#drawing, "aria-label", `${this.title}: now ${text(pairs.at(-1)?.[1] ?? null)}, peak ${text(peak)}`);
  }
}

export class SparklinesView {
  #queued;
  #done;

  constructor() {
    const parent = document.getElementById("sparklines");
    this.#queued = new Sparkline(parent, "Queue depth");
    this.#done = new Sparkline(parent, "Operations/s");
    const labels = ["5 min ago", "4", "3", "2", "1", "now"];
    const axis = element("div", { class: "axis", "aria-hidden": "true" });
    axis.append(...labels.map((text) => element("span", { text })));
    parent.append(axis);
  }

  /** Show the history of the state up to `now`. */
  show({ history }, now) {
    const column = (index) => history.map((point) => [point[0], point[index]]);
    this.#queued.show(column(1), [], now, format.count);
    this.#done.show(column(2), column(3), now, format.rate);
  }
}
