// Where in the page one is: `#/job/47` is a job, everything else the overview.

const JOB = /^#\/job\/([0-9]{1,19})$/;

/** Return the id that the address names, as text: it may exceed what a Number holds; or `null`. */
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
