// The calls that the page makes besides the stream. A refusal is thrown as the problem it is.

import { parse } from "./json.js";

/** Thrown for an answer that is a problem (RFC 9457), and for no answer at all (status 0). */
export class Problem extends Error {
  constructor(status, { error = "unknown", detail = "", column = null }) {
    super(detail);
    this.status = status;
    this.code = error;
    this.column = column;
  }
}

/** Return the job `id` as the master shows it: job_id, finished, answer, and why it failed. */
export const job = (id) => call(`job/${id}`);

/** Return the operations of the job `id`. Problem `trace_not_kept` where they are not kept. */
export const operations = (id) => call(`job/${id}/operations`);

/** Return why the job `id` is not finished, in sentences. */
export const why = (id) => call(`job/${id}/why`);

/** Return up to `limit` jobs older than `before` (or the newest), of one status (or of any). */
export function jobs({ limit, before = null, status = null }) {
  const query = new URLSearchParams({ limit });
  if (before !== null) query.set("before", before);
  if (status !== null) query.set("status", status);
  return call(`jobs?${query}`);
}

/** Submit a task; return its job_id and whether it has finished. */
export const submit = (task) =>
  call("submit", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ task }),
  });

/** Return why the master refuses `path`, and `null` if it takes it or does not answer at all. */
export async function refusal(path) {
  const enough = new AbortController();
  try {
    const response = await fetch(path, { signal: enough.signal });
    return response.ok ? null : problem(response, read(await response.text())).message;
  } catch {
    return null;
  } finally {
    enough.abort(); // what it takes may be a stream without an end
  }
}

async function call(path, options) {
  const [response, text] = await answer(path, options);
  const body = read(text);
  if (!response.ok || body === null) throw problem(response, body);
  return body;
}

function problem({ status, statusText }, body) {
  return new Problem(status, body ?? { detail: `the master answered ${status} ${statusText}` });
}

async function answer(path, options) {
  try {
    const response = await fetch(path, options);
    return [response, await response.text()];
  } catch {
    throw new Problem(0, { error: "unreachable", detail: "the master does not answer; try again" });
  }
}

function read(text) {
  try {
    return parse(text);
  } catch {
    return null; // a proxy's page, say: the status tells more
  }
}
