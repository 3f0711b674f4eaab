// Where in the page one is: `#/job/47` is a job, everything else the overview.

const JOB = /^#\/job\/(.+)$/;
const ID = /^[0-9]{1,19}$/;

/** Return whether `text`, which an address names as a job, can be the id of one. */
export const isId = (text) => ID.test(text);

/** Return what the address names as a job, or `null`; as text: ids may exceed a Number. */
export function currentJob() {
  return JOB.exec(location.hash)?.[1] ?? null;
}

/** Return the address of a job. */
export function jobAddress(id) {
  return `#/job/${id}`;
}

/** Call `go` with the current job, now and whenever it changes. */
export function onRoute(go) {
  addEventListener("hashchange", () => go(currentJob()));
  go(currentJob());
}
