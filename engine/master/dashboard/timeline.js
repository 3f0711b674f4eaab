// When each operation of a job waited and ran: a row for each worker, the same axis for all.
//
// Operations that travelled in one call are one bar, with their number. Calls to a worker that
// overlap stand below each other.

import * as format from "./format.js";
import { element, setText, svg } from "./dom.js";

const LANES = 6; // of a worker; more overlap is drawn over the last
const LANE = 14; // pixels
const NARROWEST = 0.35; // per cent of the axis: what is shorter still has to be seen
const WORKERS = 24;

/**
 * Return `{ rows, length, left }`: for each worker its calls, in seconds from the earliest start.
 * Of a job that has run for `running` seconds until now, what is under way reaches to there.
 *
 * A row is { worker, lanes, calls }, a call { indexes, from, sent, until, lane, state }: it waited
 * from `from` to `sent` and ran until `until`. `left` counts operations that have no time yet.
 */
export function schedule(operations, running = null) {
  const timed = operations.filter(({ worker, sent_s: at }) => worker && typeof at === "number");
  const start = Math.min(...timed.map((operation) => operation.sent_s - (operation.queued_s ?? 0)));
  const ends = timed.map((operation) => operation.sent_s + (operation.on_the_way_s ?? 0));
  const now = Math.max(running ?? 0, ...ends) - start;
  const calls = new Map();
  for (const operation of timed) {
    const sent = operation.sent_s - start;
    const until = operation.on_the_way_s === null ? Math.max(now, sent) : sent + operation.on_the_way_s;
    const call = { worker: operation.worker, sent, until, from: sent, indexes: [], state: operation.state };
    const key = JSON.stringify([call.worker, sent, until]);
    join(calls.get(key) ?? calls.set(key, call).get(key), operation);
  }
  return { rows: rows([...calls.values()]), length: timed.length ? now : 0, left: operations.length - timed.length };
}

function join(call, { index, queued_s, state }) {
  call.indexes.push(index);
  call.from = Math.min(call.from, call.sent - (queued_s ?? 0));
  if (state === "failed") call.state = "failed";
}

function rows(calls) {
  const workers = new Map();
  for (const call of calls.sort((a, b) => a.sent - b.sent)) {
    const row = workers.get(call.worker) ?? { worker: call.worker, calls: [], ends: [] };
    workers.set(call.worker, row);
    call.lane = freeLane(row.ends, call.sent);
    row.ends[call.lane] = call.until;
    row.calls.push(call);
  }
  const { compare } = new Intl.Collator("en", { numeric: true });
  return [...workers.values()]
    .map(({ worker, calls: own, ends }) => ({ worker, calls: own, lanes: ends.length }))
    .sort((a, b) => compare(a.worker, b.worker));
}

function freeLane(ends, from) {
  const free = ends.findIndex((end) => end <= from);
  return free >= 0 ? free : Math.min(ends.length, LANES - 1);
}

export class TimelineView {
  #parent = document.getElementById("timeline");
  #note = document.getElementById("timeline-note");
  #bars = []; // [indexes, element]
  grows = true; // with time, though no operation changes

  /** `select(index)` is called when one points at a bar, with `null` when one leaves. */
  constructor(select) {
    this.#parent.addEventListener("pointerover", (event) => {
      const bar = event.target.closest(".call");
      select(bar ? Number(bar.dataset.index) : null);
    });
    this.#parent.addEventListener("pointerleave", () => select(null));
  }

  /** Draw the operations of a job. */
  show(job) {
    const { rows: all, length, left } = schedule(job.operations, job.running_s);
    const critical = new Set(job.critical_path);
    this.#bars = [];
    const drawn = all.slice(0, WORKERS).map((row) => this.#row(row, length, critical));
    this.#parent.replaceChildren(...drawn, ...(drawn.length ? [axis(length)] : []));
    setText(this.#note, leftOut(job, all.length - drawn.length, left));
  }

  /** Mark the bar that operation `index` is part of, or none for `null`. */
  mark(index) {
    for (const [indexes, bar] of this.#bars) {
      bar.classList.toggle("marked", indexes.includes(index));
    }
  }

  #row({ worker, calls, lanes }, length, critical) {
    const height = lanes * LANE;
    const drawing = svg("svg", { height, role: "img", "aria-label": `${worker}: ${format.counted(calls.length, "call")}` });
    drawing.append(...calls.map((call) => drawnWait(call, length))); // beneath all bars
    for (const call of calls) {
      const bar = drawnCall(call, length, critical);
      this.#bars.push([call.indexes, bar]);
      drawing.append(bar);
    }
    return element("div", { class: "row" }, element("span", { class: "name", title: worker, text: worker }), drawing);
  }
}

function drawnWait({ from, sent, lane }, length) {
  const percent = (seconds) => `${(seconds * scale(length)).toFixed(3)}%`;
  return svg("rect", { class: "waited", x: percent(from), y: lane * LANE + 6, width: percent(sent - from), height: 2 });
}

function scale(length) {
  return 100 / Math.max(length, 1e-6);
}

function drawnCall({ indexes, from, sent, until, lane, state }, length, critical) {
  const width = Math.max(NARROWEST, (until - sent) * scale(length));
  const x = Math.min(sent * scale(length), 100 - width);
  const isCritical = indexes.some((index) => critical.has(index));
  const bar = svg("g", { class: `call${isCritical ? " critical" : ""}`, "data-index": indexes[0], "data-state": state });
  bar.append(
    svg("title", { text: told(indexes, from, sent, until) }),
    svg("rect", { class: "ran", x: `${x.toFixed(3)}%`, y: lane * LANE + 2, width: `${width.toFixed(3)}%`, height: LANE - 4, rx: 2 }),
  );
  return bar;
}

function told(indexes, from, sent, until) {
  const what = indexes.length === 1 ? `operation ${indexes[0]}` : `${format.count(indexes.length)} operations in one call`;
  return `${what}: waited ${format.duration(sent - from)}, ran ${format.duration(until - sent)}`;
}

function axis(length) {
  const labels = [0, 0.25, 0.5, 0.75, 1].map((share) => (share ? format.duration(share * length) : "0"));
  const marks = element("div", { class: "scale" }, ...labels.map((text) => element("span", { text })));
  return element("div", { class: "row axis", "aria-hidden": "true" }, element("span", { class: "name" }), marks);
}

/** Return what the drawing leaves out of a job, in words: so many workers and operations. */
export function leftOut({ finished, sampled, shown, total }, workers, operations) {
  const parts = [];
  const left = format.counted(operations, "operation");
  const all = format.counted(total, "operation");
  if (sampled) parts.push(`${format.count(shown - operations)} of ${all} drawn`);
  else if (operations > 0) parts.push(`${left} ${finished ? "without a result" : "waiting"}`);
  if (workers > 0) parts.push(`${format.counted(workers, "worker")} not drawn`);
  return parts.join(" · ");
}
