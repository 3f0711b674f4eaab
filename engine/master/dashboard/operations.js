// The operations of a job as a table, and each as a sentence: for those who do not see the drawings,
// and for all who want the figures.

import * as format from "./format.js";
import { element, Rows, setAttribute, setCell, setText } from "./dom.js";

const VALUE_SHOWN = 40; // characters
const FIRST = 100; // rows, until one wants all: a thousand take a browser a third of a second

/** Return an operation in a sentence. */
export function spoken(operation) {
  const parts = [
    `operation ${operation.index} at column ${operation.column}: ${asked(operation)}`,
    operation.state === "done" ? `is ${format.number(operation.result, VALUE_SHOWN)}` : outcome(operation),
  ];
  if (operation.worker) parts.push(`worker ${operation.worker}`);
  if (operation.queued_s !== null) parts.push(`waited ${format.duration(operation.queued_s)}`);
  if (operation.on_the_way_s !== null) parts.push(`ran ${format.duration(operation.on_the_way_s)}`);
  if (operation.attempts.length > 1) parts.push(tried(operation.attempts));
  return parts.join(", ");
}

function asked({ op1, operation, op2 }) {
  return `${operand(op1)} ${format.sign(operation)} ${operand(op2)}`;
}

function operand(text) {
  return text === null ? "?" : format.number(text, VALUE_SHOWN);
}

function outcome({ state, error }) {
  return state === "failed" ? (error ?? "failed") : state;
}

function tried(attempts) {
  const failed = attempts.filter(({ reason }) => reason).map(({ worker, reason }) => `${worker} ${reason}`);
  return `${attempts.length} attempts${failed.length ? ` (${failed.join(", ")})` : ""}`;
}

export class OperationsView {
  #note = document.getElementById("operations-note");
  #body = document.getElementById("operations");
  #rows = new Rows(this.#body, made, shown);
  #more = document.getElementById("operations-all");
  #all = null; // the id of the job of which all are shown
  #job = null;

  /** `select(index)` is called when one points at a row, with `null` when one leaves. */
  constructor(select) {
    this.#body.addEventListener("pointerover", (event) => {
      select(Number(event.target.closest("tr").dataset.index));
    });
    this.#body.addEventListener("pointerleave", () => select(null));
    this.#more.addEventListener("click", () => {
      this.#all = this.#job.job_id;
      this.show(this.#job);
    });
  }

  /** Show the operations of a job. */
  show(job) {
    this.#job = job;
    const critical = new Set(job.critical_path);
    const most = this.#all === job.job_id ? job.operations.length : FIRST;
    this.#rows.update(
      job.operations.slice(0, most).map((operation) => [operation.index, { operation, critical: critical.has(operation.index) }]),
    );
    setText(this.#note, leftOut(job, Math.min(most, job.operations.length)));
    setText(this.#more, `Show all ${format.count(job.operations.length)}`);
    this.#more.hidden = job.operations.length <= most;
  }

  /** Mark the row of operation `index` alone, or none for `null`. */
  mark(index) {
    this.#body.querySelector(".marked")?.classList.remove("marked");
    if (index !== null) this.#body.querySelector(`[data-index="${index}"]`)?.classList.add("marked");
  }
}

function leftOut({ shown: kept, total, sampled }, visible) {
  const parts = [];
  if (visible < total) parts.push(`${format.count(visible)} of ${format.count(total)} shown`);
  if (sampled) {
    parts.push(`${format.count(kept)} are kept: the first, the last, the slowest and those that failed`);
  }
  return parts.join(" · ");
}

function made({ operation }) {
  const cell = (kind) => element("td", { class: kind });
  return element(
    "tr",
    { "data-index": operation.index },
    element("th", { scope: "row", class: "n", text: String(operation.index) }),
    element("td", { class: "n", text: String(operation.column) }),
    cell("what mono"),
    cell("what mono"),
    cell("state"),
    element("td", { class: "n", text: operation.parent === null ? "answer" : String(operation.parent) }),
    cell("where"),
    cell("n"),
    cell("n"),
    cell("n"),
    cell("path"),
  );
}

function shown(row, { operation, critical }) {
  const [, , what, value, state, , worker, waited, ran, attempts, path] = row.children;
  setAttribute(row, "data-state", operation.state);
  setCell(what, asked(operation));
  setCell(value, operation.result === null ? "" : format.number(operation.result, VALUE_SHOWN));
  setCell(state, outcome(operation));
  setCell(worker, operation.worker ?? "");
  setText(waited, format.duration(operation.queued_s));
  setText(ran, format.duration(operation.on_the_way_s));
  setText(path, critical ? "critical" : "");
  setText(attempts, String(operation.attempts.length));
  setAttribute(attempts, "title", operation.attempts.length > 1 ? tried(operation.attempts) : null);
}
