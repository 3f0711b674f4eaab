// The list of jobs. It is live (the last 100, by the stream) until one asks for something else: a
// status or older jobs are pages of the whole record, read from the master when they are asked for.
// The newest page of a status is read again when the counts of jobs have changed.

import * as api from "./api.js";
import * as format from "./format.js";
import { element, Rows, setAttribute, setCell, setText } from "./dom.js";
import { jobAddress } from "./route.js";
import { jobsInAll, status } from "./state.js";

const FIRST = 15; // rows, until one wants more
const PAGE = 100;
const ANSWER_SHOWN = 24; // characters: with the count of the others, what its column has room for
const ANSWER_TOLD = 200; // to who points at it
const TASK_SHOWN = 200; // as many as the stream sends
const READ_AGAIN_S = 2;

/** Return which jobs of `jobs` hold `text` in their expression, blanks aside. */
export function containing(jobs, text) {
  const wanted = withoutBlanks(text);
  return wanted ? jobs.filter((job) => withoutBlanks(job.task).includes(wanted)) : jobs;
}

function withoutBlanks(text) {
  return text.replace(/\s+/g, "");
}

/** Return what a job came to, or why it did not, in a line; of a number about `most` characters. */
export function ending(job, most = ANSWER_SHOWN) {
  if (!job.finished) return "";
  return job.error ? (job.detail ?? job.error) : format.number(job.answer, most);
}

export class JobsView {
  #note = document.getElementById("jobs-note");
  #empty = document.getElementById("jobs-empty");
  #more = document.getElementById("jobs-more");
  #newest = document.getElementById("jobs-newest");
  #status = document.getElementById("jobs-status");
  #text = document.getElementById("jobs-text");
  #rows = new Rows(document.getElementById("jobs"), made, shown);
  #page = null; // { kind, before, jobs, error, of, at } when it is not live
  #most = FIRST;
  #asked = 0; // the latest request: earlier ones that come back late do not count
  #state = null;
  #now = null;

  constructor() {
    this.#status.addEventListener("change", () => this.#turn(null));
    this.#text.addEventListener("input", () => this.#again());
    this.#more.addEventListener("click", () => this.#showMore());
    this.#newest.addEventListener("click", () => this.#turn(null));
    const id = document.getElementById("jobs-id");
    document.getElementById("jobs-find").addEventListener("submit", (event) => {
      event.preventDefault();
      if (id.value.trim()) location.hash = jobAddress(id.value.trim());
    });
  }

  /** Show the jobs of the state as of `now`. */
  show(state, now) {
    this.#state = state;
    this.#now = now;
    if (this.#isOutdated()) this.#read(null);
    const all = this.#jobs();
    const found = containing(all, this.#text.value);
    const visible = found.slice(0, this.#most);
    this.#rows.update(visible.map((job) => [job.job_id, { job, now }]));
    this.#explain(all, found, visible);
  }

  #again() {
    if (this.#state) this.show(this.#state, this.#now);
  }

  #jobs() {
    const live = this.#state.jobs;
    return this.#page ? this.#page.jobs.map((job) => live.get(job.job_id) ?? job) : [...live.values()];
  }

  #explain(all, found, visible) {
    const inAll = jobsInAll(this.#state);
    setText(this.#note, this.#page?.error ?? this.#range(all, found, visible, inAll));
    this.#showMoreButton(all, found, visible, inAll);
    this.#newest.hidden = this.#page === null || this.#page.before === null;
    this.#empty.hidden = visible.length > 0 || inAll === null || Boolean(this.#page?.error);
    setText(this.#empty, this.#emptiness(inAll));
  }

  #range(all, found, visible, inAll) {
    if (inAll === null || !all.length) return "";
    const where = this.#page?.before
      ? `${format.count(all.length)} older than job ${this.#page.before}`
      : `the newest ${format.count(all.length)}`;
    if (this.#text.value) return `${format.count(found.length)} found among ${where} of ${format.count(inAll)}`;
    const kind = this.#page?.kind; // what is listed, which may not be what was chosen this moment
    const total = kind ? this.#state.summary[kind] : inAll;
    if (visible.length >= total) return `all ${format.count(total)}`;
    return this.#page?.before
      ? `${format.count(visible.length)} of ${format.count(total)}, older than job ${this.#page.before}`
      : `the newest ${format.count(visible.length)} of ${format.count(total)}`;
  }

  #showMoreButton(all, found, visible, inAll) {
    const hidden = found.length - visible.length;
    this.#more.hidden = hidden === 0 && (all.length < PAGE || all.length >= inAll);
    setText(this.#more, hidden > 0 ? `Show ${format.count(hidden)} more` : `Show ${PAGE} older`);
  }

  #emptiness(inAll) {
    if (inAll > 0) return this.#text.value ? "No job here contains that." : "No job is in this state.";
    return "No job yet. Type an expression below, for example 1+(2*3)/4-5, and press Enter.";
  }

  #showMore() {
    const all = this.#jobs();
    if (containing(all, this.#text.value).length > this.#most) {
      this.#most = PAGE;
      this.#again();
    } else {
      this.#turn(all.at(-1).job_id);
    }
  }

  /** Show what is older than job `before`, or the newest, of the chosen status. */
  #turn(before) {
    if (before === null) this.#most = FIRST;
    if (before === null && !this.#status.value) {
      this.#asked++;
      this.#page = null;
      this.#again();
    } else {
      this.#read(before);
    }
  }

  async #read(before) {
    const asked = ++this.#asked;
    if (this.#page) this.#page.at = this.#now; // it is being read: not again at once
    const page = await read(this.#status.value || null, before);
    if (asked !== this.#asked) return;
    this.#page = { ...page, of: this.#counts(), at: this.#now };
    this.#again();
  }

  #isOutdated() {
    const page = this.#page;
    return page !== null && page.before === null && this.#now - page.at >= READ_AGAIN_S && page.of !== this.#counts();
  }

  #counts() {
    const { unfinished, succeeded, failed } = this.#state?.summary ?? {};
    return [unfinished, succeeded, failed].join(" ");
  }
}

async function read(kind, before) {
  try {
    const jobs = await api.jobs({ limit: PAGE, before, status: kind });
    return { kind, before, jobs: jobs.map(withTaskCut), error: null };
  } catch (problem) {
    return { kind, before, jobs: [], error: `cannot be read: ${problem.message}` };
  }
}

/** Tasks may have a million characters, which nobody wants to search four times a second. */
function withTaskCut(job) {
  if (job.task.length <= TASK_SHOWN) return job;
  return { ...job, task: job.task.slice(0, TASK_SHOWN), task_cut: true };
}

function made({ job }) {
  const id = element("a", { href: jobAddress(job.job_id), text: String(job.job_id) });
  const task = job.task + (job.task_cut ? "…" : "");
  return element(
    "tr",
    {},
    element("th", { scope: "row", class: "id" }, id),
    element("td", { class: "task mono", text: task, title: task }),
    element("td", { class: "state" }),
    element("td", { class: "answer mono" }),
    element("td", { class: "n wide" }),
    element("td", { class: "n wide" }),
  );
}

function shown(row, { job, now }) {
  const [, , state, answer, age, took] = row.children;
  const how = status(job);
  setAttribute(row, "data-state", how);
  setText(state, how);
  setCell(answer, ending(job), ending(job, ANSWER_TOLD));
  setText(age, format.age(job.submitted_at === undefined ? null : now - job.submitted_at));
  setText(took, format.duration(took_s(job)));
}

function took_s({ submitted_at, finished_at }) {
  return submitted_at && finished_at ? finished_at - submitted_at : null;
}
