// The sentence at the top, what is wrong in words, and whether this page is up to date.

import * as format from "./format.js";
import { setAttribute, setText } from "./dom.js";

const LONG_WAIT_S = 5;
const LONG_LAG_S = 0.25;
const DEATH_TOLD_S = 120; // after it a dead worker is a matter of the list
const TOLD = 3; // workers named one by one

/** Return the state of the whole in one sentence. */
export function sentence({ summary, refusal }) {
  if (summary === null) return refusal ?? "Waiting for the master’s first word …";
  const parts = [
    health(summary),
    `${format.counted(summary.queued, "operation")} queued`,
    `${format.rate(summary.operations_per_s)} operations/s`,
  ];
  if (summary.queued > 0) parts.push(`oldest waits ${format.waiting(summary.oldest_queued_s)}`);
  return parts.join(" · ");
}

function health({ workers, workers_live: live }) {
  if (workers === 0) return "no worker yet";
  return `${format.count(live)} of ${format.counted(workers, "worker")} healthy`;
}

/** Return what needs attention, the worst first, in words; nothing if nothing does. */
export function causes(state, now) {
  return found(state, now).map(({ text }) => text);
}

/** Return what is read out: the worst, without what changes all the time. */
export function announcement(state, now) {
  if (state.connection === "stale") return "Connection lost: what you see is stale.";
  const [worst] = found(state, now);
  return worst ? (worst.spoken ?? worst.text) : "";
}

function found(state, now) {
  const { summary } = state;
  if (summary === null) return [];
  return [...ofThePool(summary), ...ofWorkers(state, now), ...ofTheMaster(summary)];
}

function ofThePool(summary) {
  if (summary.workers_live > 0 || summary.queued + summary.in_flight + summary.waiting === 0) return [];
  return [{ text: "no worker is live, so everything waits" }];
}

function ofWorkers({ workers }, now) {
  const ill = [...workers.values()].filter((worker) => isIll(worker, now));
  const told = ill.slice(0, TOLD).map((worker) => {
    const spoken = `${format.shortened(worker.name, 40)} is ${worker.state}`;
    const reason = worker.reason ? `: ${format.shortened(worker.reason, 120)}` : "";
    return { text: spoken + reason, spoken };
  });
  const rest = ill.length - told.length;
  const text = `and ${format.counted(rest, "more worker")} in trouble`;
  return rest > 0 ? [...told, { text }] : told;
}

function isIll({ state, seenAt }, now) {
  if (state === "dead") return now - seenAt < DEATH_TOLD_S;
  return state === "suspect" || state === "rejected";
}

function ofTheMaster(summary) {
  const troubles = [];
  if (summary.workers_live > 0 && summary.oldest_queued_s > LONG_WAIT_S) {
    const waits = format.waiting(summary.oldest_queued_s);
    const help = "more workers would help";
    troubles.push({
      text: `the oldest operation has waited ${waits}: ${help}`,
      spoken: `operations wait long: ${help}`,
    });
  }
  if (summary.loop_lag_s > LONG_LAG_S) {
    const text = `the master itself answers ${format.duration(summary.loop_lag_s)} late`;
    troubles.push({ text, spoken: "the master itself answers late" });
  }
  return troubles;
}

/** Return what the page says of its own connection. */
export function connection({ connection: now, now: heardAt, retryInS, refusal }) {
  if (now !== "stale") return now;
  const retry = `retry within ${Math.ceil(retryInS)} s`;
  const silence = refusal ? "refuses this page" : "does not answer";
  if (heardAt === null) return `the master ${silence} · ${retry}`;
  return `stale since ${format.timeOfDay(heardAt)} · ${retry}`;
}

export class SummaryView {
  #sentence = document.getElementById("sentence");
  #causes = document.getElementById("causes");
  #connection = document.getElementById("connection");
  #announcement = document.getElementById("announcement");

  /** Show the state as of `now`, the master's time. */
  show(state, now) {
    const told = causes(state, now);
    setText(this.#sentence, sentence(state));
    setText(this.#causes, told.length ? told.join(" · ") : quiet(state));
    setAttribute(this.#causes, "data-bad", told.length ? "" : null);
    setText(this.#connection, connection(state));
    setAttribute(this.#connection, "data-state", state.connection);
    setAttribute(document.body, "data-waiting", state.summary === null ? "" : null);
    setText(this.#announcement, announcement(state, now)); // only when it changes is it read out
  }
}

function quiet({ summary }) {
  if (summary === null) return "";
  return summary.workers === 0 ? "Jobs are taken, and wait for a worker." : "Nothing needs attention.";
}
