// All that the page knows, and how each thing that happens changes it. Pure.
//
// `reduce(state, event)` returns the next state and changes nothing. What the master tells replaces
// what was known; a snapshot replaces everything. Times are seconds since the epoch by the master's
// clock. Bounds: the last 100 jobs, five minutes of history, the workers that the master lists.

export const HISTORY_S = 300;
export const JOBS_KEPT = 100;
const RATE_WINDOW_S = 3;

/** The state of a page that has heard nothing yet. */
export const nothing = Object.freeze({
  connection: "connecting", // then "live", or "stale"
  retryInS: null,
  refusal: null, // why the master tells nothing, if it says so
  now: null, // the master's time when it last spoke
  startedAt: null,
  summary: null,
  history: [], // [time, queued, operations per second, failed per second]
  workers: new Map(), // by key(worker)
  jobs: new Map(), // by job_id, the newest JOBS_KEPT
});

const REACTIONS = {
  snapshot: (state, { data }) => ({
    ...state,
    connection: "live",
    retryInS: null,
    now: data.now,
    startedAt: data.started_at,
    summary: data.summary,
    history: recent(data.history ?? [], data.now),
    workers: withWorkers(new Map(), data.workers ?? [], [], data.now),
    jobs: withJobs(new Map(), data.jobs ?? []),
  }),
  change: (state, { data }) => {
    const now = data.now ?? state.now;
    return {
      ...state,
      connection: "live",
      retryInS: null,
      now,
      summary: data.summary ? { ...state.summary, ...data.summary } : state.summary,
      history: data.history?.length ? recent([...state.history, ...data.history], now) : state.history,
      workers: withWorkers(state.workers, data.workers ?? [], data.workers_gone ?? [], now),
      jobs: withJobs(state.jobs, data.jobs ?? []),
    };
  },
  lost: (state, { retryInS, refusal = null }) => ({
    ...state,
    connection: "stale",
    retryInS,
    refusal,
  }),
};

/**
 * Return the state after `event`: `snapshot` and `change` with `data`, `lost` with `retryInS` and
 * `refusal`.
 */
export function reduce(state, event) {
  const reaction = REACTIONS[event.type];
  return reaction ? reaction(state, event) : state;
}

/** Return what tells a worker apart: two may share a name. */
export function key(worker) {
  return JSON.stringify([worker.name, worker.url]);
}

/** Return a worker's operations per second over the last RATE_WINDOW_S before `now`. */
export function rate(worker, now) {
  const since = now - RATE_WINDOW_S;
  const known = worker.samples;
  const first = known.findLast((sample) => sample.at <= since) ?? known[0];
  const elapsed = Math.min(now - first.at, RATE_WINDOW_S);
  return elapsed < 0.5 ? null : Math.max(0, worker.completed - first.completed) / elapsed;
}

/** Return how a job is, in one word: `unfinished`, `succeeded` or `failed`. */
export function status(job) {
  if (!job.finished) return "unfinished";
  return job.error ? "failed" : "succeeded";
}

/** Return how many jobs the master keeps, or `null` if that is not known yet. */
export function jobsInAll(state) {
  if (state.summary === null) return null;
  const { unfinished = 0, succeeded = 0, failed = 0 } = state.summary;
  return unfinished + succeeded + failed;
}

function recent(history, now) {
  const from = history.findIndex(([at]) => at > now - HISTORY_S);
  return from < 0 ? [] : history.slice(from);
}

function withWorkers(workers, changed, gone, now) {
  if (!changed.length && !gone.length) return workers;
  const next = new Map(workers);
  for (const worker of changed) {
    next.set(key(worker), known(worker, workers.get(key(worker)), now));
  }
  for (const worker of gone) {
    next.delete(key(worker));
  }
  return next;
}

function known(worker, before, now) {
  const earlier = before && before.completed <= worker.completed ? before.samples : [];
  const start = earlier.findLastIndex((sample) => sample.at <= now - RATE_WINDOW_S);
  return {
    ...worker,
    seenAt: worker.last_seen_s === null ? null : now - worker.last_seen_s,
    handedAt: worker.in_hand ? now - worker.in_hand.sent_s : null,
    samples: [...earlier.slice(Math.max(0, start)), { at: now, completed: worker.completed }],
  };
}

function withJobs(jobs, changed) {
  if (!changed.length) return jobs;
  const next = new Map(jobs);
  for (const job of changed) {
    next.set(job.job_id, { ...job, answer: job.answer_text ?? job.answer });
  }
  const newest = [...next.keys()].sort((a, b) => b - a).slice(0, JOBS_KEPT);
  return new Map(newest.map((id) => [id, next.get(id)]));
}
