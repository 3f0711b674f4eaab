// The roof: makes the parts of the page, and carries what the master tells to them.
//
// Everything flows one way: stream -> reduce(state) -> the views, which show the whole state again.
// Views are shown once a frame at most, and once a second for what grows older by itself.

import { MasterClock } from "./clock.js";
import { Stream } from "./events.js";
import { JobView } from "./job.js";
import { JobsView } from "./jobs.js";
import { currentJob, onRoute } from "./route.js";
import { SparklinesView } from "./sparklines.js";
import { nothing, reduce } from "./state.js";
import { SubmitForm } from "./submit.js";
import { SummaryView } from "./summary.js";
import { WorkersView } from "./workers.js";

const TICK_MS = 1000;

let state = nothing;
let shown = true; // whether the views show the state
const clock = new MasterClock();
const job = new JobView();
const overview = [new SparklinesView(), new WorkersView(), new JobsView()];
const always = [new SummaryView(), new SubmitForm()];

function hear(event) {
  state = reduce(state, event);
  if (event.data?.now !== undefined) clock.hear(event.data.now);
  showSoon();
}

function showSoon() {
  if (shown) requestAnimationFrame(show);
  shown = false;
}

function show() {
  shown = true;
  const views = currentJob() === null ? overview : [job];
  for (const view of [...always, ...views]) {
    view.show(state, clock.now());
  }
}

onRoute((id) => {
  document.getElementById("overview").hidden = id !== null;
  job.open(id);
  show();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // an address of its own would leave the job
  document.getElementById("main").focus();
});
setInterval(showSoon, TICK_MS);
new Stream("events", hear).follow(document);
