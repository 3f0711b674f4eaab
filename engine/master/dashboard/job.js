// One job: its expression, how it is and why, and its operations three times: tree, timeline, table.
//
// It is read when it is opened and again until it has finished: a second later at first, after
// longer and longer pauses while nothing changes, and at once when the stream tells that it has
// ended, or that workers came or went. The three views are linked: what one points at is marked in
// all of them, and in the expression itself.

import * as api from "./api.js";
import * as format from "./format.js";
import { element, setAttribute, setText } from "./dom.js";
import { ending } from "./jobs.js";
import { OperationsView } from "./operations.js";
import { isId } from "./route.js";
import { status } from "./state.js";
import { TimelineView } from "./timeline.js";
import { TreeView } from "./tree.js";

const AGAIN_S = 1;
const LONGEST_AGAIN_S = 8; // nobody tells the page that a job has ended which is not of the newest
const TASK_SHOWN = 4000; // characters
const ANSWER_SHOWN = 5000; // all that an integer can have
const ANSWER_SPOKEN = 40;
const NO_ID = { detail: "no job has such an id: it is a whole number" };
const ENDS = new Set(["done", "failed"]);

export class JobView {
  #article = document.getElementById("job");
  #title = document.getElementById("job-title");
  #state = document.getElementById("job-state");
  #problem = document.getElementById("job-problem");
  #found = document.getElementById("job-found");
  #task = document.getElementById("job-task");
  #answer = document.getElementById("job-answer");
  #facts = document.getElementById("job-facts");
  #why = document.getElementById("job-why");
  #untraced = document.getElementById("job-untraced");
  #traced = document.getElementById("job-traced");
  #views = [TreeView, TimelineView, OperationsView].map((View) => new View((index) => this.#mark(index)));
  #now = null; // the master's time when the page was shown last, if it was told
  #id = null;
  #read = null; // what was read last: { job, task, trace, untraced, why }
  #drawn = ""; // the operations that are drawn, as text
  #readAt = 0;
  #pauseS = AGAIN_S;
  #hasFailed = false; // the latest reading
  #live = null; // workers, when the page was shown last
  #reading = null; // the id that is being read

  /** Open the job `id`, or none for `null`. */
  open(id) {
    this.#article.hidden = id === null;
    this.#id = id;
    this.#reading = this.#read = null;
    this.#drawn = "";
    this.#readAt = 0;
    this.#pauseS = AGAIN_S;
    this.#hasFailed = false;
    document.title = titleOf(id, null);
    if (id === null) return;
    setText(this.#title, `Job ${id}`);
    setText(this.#state, "");
    this.#problem.hidden = this.#found.hidden = true;
    if (!isId(id)) this.#failed(new api.Problem(404, NO_ID));
    scrollTo(0, 0);
    this.#title.focus({ preventScroll: true });
  }

  /** Bring the open job up to date with the state, as of `now`. */
  show(state, now) {
    if (this.#id === null) return;
    const told = state.jobs.get(Number(this.#id));
    this.#hearOf(state.summary);
    if (this.#isDue(told)) this.#readAgain(this.#id);
    this.#now = now;
    if (this.#read) this.#showFacts(told);
  }

  /** Whoever waits for a worker goes on when one comes. */
  #hearOf(summary) {
    const live = summary?.workers_live ?? this.#live;
    if (live !== this.#live && !this.#hasFailed) this.#pauseS = AGAIN_S;
    this.#live = live;
  }

  #isDue(told) {
    if (this.#reading === this.#id || this.#read?.job.finished) return false;
    if (told?.finished && !this.#hasFailed) return true;
    return performance.now() / 1000 - this.#readAt >= this.#pauseS;
  }

  async #readAgain(id) {
    this.#reading = id;
    try {
      const read = await everythingOf(id, this.#read);
      if (id === this.#id) this.#took(read);
    } catch (problem) {
      if (id === this.#id) this.#failed(problem);
    } finally {
      this.#reading = null;
      this.#readAt = performance.now() / 1000;
    }
  }

  #took(read) {
    this.#pauseS = pauseS(this.#pauseS, this.#read, read);
    this.#hasFailed = false;
    this.#read = read;
    this.#problem.hidden = true;
    this.#found.hidden = false;
    this.#showOutcome(read);
    this.#showTrace(read);
    this.#showFacts(undefined);
  }

  /** What was read before stays; a job that is not there is not asked for again. */
  #failed(problem) {
    this.#pauseS = problem.status === 404 ? Infinity : Math.min(LONGEST_AGAIN_S, this.#pauseS * 2);
    this.#hasFailed = true;
    if (this.#read) return;
    setText(this.#problem, problem.message);
    this.#problem.hidden = false;
  }

  #showOutcome({ job, task, why }) {
    const how = status(job);
    this.#tell(job, how);
    document.title = titleOf(this.#id, how);
    setAttribute(this.#article, "data-state", how);
    setText(this.#answer, answered(job));
    setText(this.#task, format.shortened(task ?? "", TASK_SHOWN));
    this.#task.hidden = task === null;
    const sentences = job.finished ? [] : (why?.sentences ?? []);
    this.#why.replaceChildren(...sentences.map((text) => element("li", { text })));
  }

  /** Who cannot see the answer is told it with the state. */
  #tell(job, how) {
    const spoken = job.finished ? `: ${ending(job, ANSWER_SPOKEN)}` : "";
    if (this.#state.textContent === how + spoken) return;
    this.#state.replaceChildren(how, element("span", { class: "unseen", text: spoken }));
  }

  #showTrace({ trace, untraced }) {
    setText(this.#untraced, untraced ?? "");
    this.#untraced.hidden = untraced === null;
    this.#traced.hidden = trace === null || trace.total === 0;
    if (this.#traced.hidden) return;
    const text = JSON.stringify(trace.operations);
    for (const view of this.#views) {
      if (text !== this.#drawn || view.grows) view.show(trace);
    }
    this.#drawn = text;
  }

  #showFacts(told) {
    const facts = factsOf(this.#read, told ?? this.#read.told, this.#now);
    if (told) this.#read.told = told;
    const pairs = facts.flatMap(([term, text]) => [element("dt", { text: term }), element("dd", { text })]);
    const before = this.#facts.textContent;
    if (before !== facts.flat().join("")) this.#facts.replaceChildren(...pairs);
  }

  #mark(index) {
    for (const view of this.#views) {
      view.mark(index);
    }
    this.#markInTask(index);
  }

  #markInTask(index) {
    const { task, trace } = this.#read ?? {};
    const column = trace?.operations.find((operation) => operation.index === index)?.column;
    if (task === null || task === undefined || task.length > TASK_SHOWN) return;
    if (!column) {
      this.#task.textContent = task;
      return;
    }
    const characters = Array.from(task);
    const piece = (from, to) => characters.slice(from, to).join("");
    const sign = element("mark", { text: piece(column - 1, column) });
    this.#task.replaceChildren(piece(0, column - 1), sign, piece(column));
  }
}

function answered(job) {
  if (!job.finished) return "= …";
  return job.error ? ending(job) : `= ${ending(job, ANSWER_SHOWN)}`;
}

/** Return the title of the page when it shows the job `id`, or none, that is as `how` says. */
export function titleOf(id, how) {
  if (id === null) return "Executor";
  return how === null ? `Job ${id} - Executor` : `Job ${id} · ${how} - Executor`;
}

/** Return how long to pause after `now` was read, when it was `lastS` after `before` was. */
export function pauseS(lastS, before, now) {
  if (!before || known(before) !== known(now)) return AGAIN_S;
  return Math.min(LONGEST_AGAIN_S, lastS * 2);
}

/** What is known of a job, as text; sentences say how long it has waited, which is nothing new. */
function known({ job, trace, why }) {
  return JSON.stringify([job.finished, trace?.operations, why?.state]);
}

/** Read all that there is about a job. Throws the problem if there is no such job. */
async function everythingOf(id, before) {
  const job = await api.job(id);
  const why = job.finished ? null : await whyOf(id);
  const [trace, untraced] = why?.state === "waiting_for_room" ? [null, null] : await traceOf(id);
  const task = trace?.task ?? before?.task ?? (await taskOf(id));
  return { job, task, trace, untraced, why, told: before?.told };
}

async function traceOf(id) {
  try {
    return [ended(await api.operations(id)), null];
  } catch (problem) {
    if (problem.code === "trace_not_kept") return [null, problem.message];
    throw problem;
  }
}

/** Return a trace in which, when the job has ended, nothing is said to wait any more. */
export function ended(trace) {
  if (!trace.finished) return trace;
  const operations = trace.operations.map((operation) =>
    ENDS.has(operation.state) ? operation : { ...operation, state: "no result" },
  );
  return { ...trace, operations };
}

async function whyOf(id) {
  try {
    return await api.why(id);
  } catch {
    return null; // it may have ended meanwhile
  }
}

/** The list has what a job without a trace does not tell: its expression. */
async function taskOf(id) {
  const [job] = await api.jobs({ limit: 1, before: String(BigInt(id) + 1n) });
  return job && String(job.job_id) === String(BigInt(id)) ? job.task : null;
}

/** Return what is known of a job besides its answer, as of `now`, as pairs of a term and a text. */
export function factsOf({ job, trace }, told, now) {
  const facts = [];
  const submitted = told?.submitted_at ?? trace?.submitted_at;
  const finished = told?.finished_at ?? trace?.finished_at;
  if (submitted) facts.push(["Submitted", format.moment(submitted, now)]);
  if (submitted && finished) facts.push(["Took", format.duration(finished - submitted)]);
  else if (submitted && now) facts.push(["So far", format.waiting(now - submitted)]);
  if (job.error) facts.push(["Error", job.error]);
  if (trace) facts.push(...sums(trace));
  return facts;
}

/** The master's sums are of what came back; of a job that is told whole all is seen here. */
function sums({ total, sampled, summary, operations }) {
  const attempts = operations.flatMap((operation) => operation.attempts);
  const workers = sampled ? Object.keys(summary.workers) : attempts.map(({ worker }) => worker);
  return [
    ["Operations", format.count(total)],
    ["Attempts", format.count(sampled ? summary.attempts : attempts.length)],
    ["Workers", format.count(new Set(workers).size)],
  ];
}
