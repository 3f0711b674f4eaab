// The list of workers: those in trouble first, the long dead not at all, and it says who is left out.

import * as format from "./format.js";
import { element, Rows, setAttribute, setText } from "./dom.js";
import { rate } from "./state.js";

const SHOWN = 12; // without "show all"
const NOW_S = 4; // the master looks at an idle worker every second or two, and tells it less often
const LONG_S = 2; // for an operation: then it is said for how long
const DEAD_SHOWN_S = 60; // and then they go
const ORDER = ["rejected", "dead", "suspect", "candidate", "draining", "live"];

/** Return the workers to list, in their order, and how many dead ones are not listed any more. */
export function listed(workers, now) {
  const all = [...workers.entries()];
  const here = all.filter(([, worker]) => !isGone(worker, now));
  here.sort(([, a], [, b]) => place(a) - place(b) || byName(a, b));
  return { here, gone: all.length - here.length };
}

const byName = (a, b) => compare(a.name, b.name) || compare(a.url, b.url);
const { compare } = new Intl.Collator("en", { numeric: true }); // worker-10 after worker-9

function isGone({ state, seenAt }, now) {
  return state === "dead" && seenAt !== null && now - seenAt > DEAD_SHOWN_S;
}

function place(worker) {
  return ORDER.indexOf(worker.state);
}

/** Return what the list leaves out, in words; '' if nothing. */
export function leftOut(shown, here, gone) {
  const parts = [];
  if (shown < here) parts.push(`${format.count(shown)} of ${format.count(here)} shown, those in trouble first`);
  if (gone > 0) parts.push(`${format.count(gone)} dead for over a minute not shown`);
  return parts.join(" · ");
}

/** Return what stands in the place of an empty list, of which `gone` long dead are left out. */
export function emptiness(gone) {
  if (gone === 0) return "No worker is here yet. Start one:";
  return gone === 1
    ? "The only worker is dead; start it again, or another:"
    : `All ${format.count(gone)} workers are dead; start them again, or another:`;
}

export class WorkersView {
  #note = document.getElementById("workers-note");
  #empty = document.getElementById("workers-empty");
  #toggle = document.getElementById("workers-all");
  #rows = new Rows(document.getElementById("workers"), made, shown);
  #all = false;

  constructor() {
    const command = `python worker.py --port 0 --master ${location.origin}`;
    setText(document.getElementById("workers-command"), command);
    this.#toggle.addEventListener("click", () => {
      this.#all = !this.#all;
      this.show(...this.last);
    });
  }

  /** Show the workers of the state as of `now`. */
  show(state, now) {
    this.last = [state, now];
    const { here, gone } = listed(state.workers, now);
    const visible = this.#all ? here : here.slice(0, SHOWN);
    const rates = visible.map(([, worker]) => rate(worker, now));
    const highest = Math.max(1, ...rates);
    this.#rows.update(
      visible.map(([key, worker], index) => [key, { worker, now, rate: rates[index], highest }]),
    );
    setText(this.#note, leftOut(visible.length, here.length, gone));
    setText(this.#toggle, this.#all ? `Show ${SHOWN} only` : `Show all ${format.count(here.length)}`);
    this.#toggle.hidden = here.length <= SHOWN;
    setText(this.#empty.firstElementChild, emptiness(gone));
    this.#empty.hidden = here.length > 0 || state.summary === null;
  }
}

function made() {
  const cell = (attributes, ...children) => element("td", attributes, ...children);
  const bar = element("meter", { min: 0, "aria-hidden": "true" });
  return element(
    "tr",
    {},
    element("th", { scope: "row", class: "name" }),
    cell({ class: "state" }),
    cell({ class: "hand wide" }),
    cell({ class: "n load wide" }, bar, element("span")),
    cell({ class: "n" }),
    cell({ class: "n failures" }),
    cell({ class: "n wide" }),
    cell({ class: "n wide" }),
    cell({ class: "n" }),
  );
}

function shown(row, { worker, now, rate: perSecond, highest }) {
  const [name, state, inHand, load, done, failed, p50, p95, seen] = row.children;
  setAttribute(row, "data-state", worker.state);
  setText(name, worker.name);
  setAttribute(name, "title", `${worker.name} at ${worker.url}, takes ${worker.operations.join(", ")}`);
  setText(state, worker.state);
  setAttribute(state, "title", worker.reason);
  setText(inHand, inHandOf(worker, now));
  setAttribute(inHand, "title", inHandInWords(worker));
  showLoad(load, perSecond, highest);
  setText(done, format.count(worker.completed));
  setText(failed, format.count(worker.failed));
  setAttribute(failed, "data-bad", worker.failed > 0 ? "" : null);
  setText(p50, format.duration(worker.latency_p50_s));
  setText(p95, format.duration(worker.latency_p95_s));
  setText(seen, lastSeen(worker, now));
}

/** Return the operation that a worker has had longest, how many more it has, and since when if that is long. */
export function inHandOf({ in_hand: longest, in_flight: all, handedAt }, now) {
  if (!longest) return format.NOTHING;
  const more = all > 1 ? ` + ${format.count(all - 1)}` : "";
  const since = now - handedAt < LONG_S ? "" : ` · ${format.age(now - handedAt)}`;
  return `${format.sign(longest.operation)} of ${longest.job_id}${more}${since}`;
}

function inHandInWords({ in_hand: longest, in_flight: all }) {
  if (!longest) return null;
  return `${longest.operation} of job ${longest.job_id}, of ${format.counted(all, "operation")} that it has`;
}

function lastSeen({ seenAt }, now) {
  if (seenAt === null) return "never";
  return now - seenAt < NOW_S ? "now" : format.age(now - seenAt);
}

function showLoad(cell, perSecond, highest) {
  const [bar, text] = cell.children;
  bar.max = highest;
  bar.value = perSecond ?? 0;
  setText(text, format.rate(perSecond));
}
