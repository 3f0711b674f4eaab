// The expression as a tree: each node is an operation with its value, worker, times and attempts.
//
// One stop of the Tab key; the arrows go from node to node: up to the parent, down to the children.

import * as format from "./format.js";
import { setText, svg } from "./dom.js";
import { spoken } from "./operations.js";
import { layOut } from "./tree-layout.js";

export const DRAWN = 300; // nodes: more are no picture any more
const NODE = { width: 186, height: 78 };
const GAP = { x: 16, y: 30 };
const MARGIN = 8;
const READABLE = 0.75; // of the full size

export class TreeView {
  #parent = document.getElementById("tree");
  #note = document.getElementById("tree-note");
  #select;
  #nodes = new Map(); // by index, its SVG group
  #layout = null;
  #begun = null; // the job and the width of the drawing that has found its scale
  #fit = document.getElementById("tree-fit");

  /** `select(index)` is called when one points at a node, or reaches it; `null` when one leaves. */
  constructor(select) {
    this.#select = select;
    this.#fit.addEventListener("click", () => this.#scale(!this.#parent.classList.contains("fit")));
    this.#parent.addEventListener("keydown", (event) => this.#move(event));
    for (const [type, on] of [["pointerover", true], ["focusin", true], ["pointerleave", false], ["focusout", false]]) {
      this.#parent.addEventListener(type, (event) => this.#point(event, on));
    }
  }

  /** Draw the operations of a job. */
  show(job) {
    const focused = document.activeElement?.closest?.("#tree .node")?.dataset.index;
    const { scrollLeft, scrollTop } = this.#parent;
    this.#layout = layOut(job.operations, DRAWN);
    const isEmpty = this.#layout.nodes.length === 0; // as a sample is that has no root yet
    this.#parent.hidden = isEmpty;
    setText(this.#note, leftOut(job, this.#layout));
    if (isEmpty) this.#clear();
    else this.#draw(job);
    const drawn = isEmpty ? null : `${job.job_id} ${this.#layout.width}`;
    if (this.#begun === drawn) this.#parent.scrollTo(scrollLeft, scrollTop);
    else if (!isEmpty) this.#begin();
    this.#begun = drawn;
    if (focused !== undefined) this.#focus(Number(focused));
  }

  /** Mark the node of operation `index` alone, or none for `null`. */
  mark(index) {
    for (const [at, node] of this.#nodes) {
      node.classList.toggle("marked", at === index);
    }
  }

  #clear() {
    this.#nodes.clear();
    this.#parent.replaceChildren();
    this.#fit.hidden = true;
  }

  #draw(job) {
    const { nodes, edges, width, height } = this.#layout;
    const place = new Map(nodes.map((node) => [node.index, corner(node)]));
    const operations = new Map(job.operations.map((operation) => [operation.index, operation]));
    const critical = new Set(job.critical_path);
    const w = 2 * MARGIN + width * NODE.width + (width - 1) * GAP.x;
    const h = 2 * MARGIN + height * NODE.height + (height - 1) * GAP.y;
    const lines = edges.map(({ from, to }) => edge(place.get(from), place.get(to), critical.has(from) && critical.has(to)));
    this.#nodes = new Map(
      nodes.map(({ index }) => [index, node(operations.get(index), place.get(index), critical.has(index))]),
    );
    this.#nodes.values().next().value?.setAttribute("tabindex", "0");
    const drawing = svg("svg", { width: w, height: h, viewBox: `0 0 ${w} ${h}`, role: "group", "aria-label": "Expression tree; the arrow keys move in it, and the table below says the same" });
    drawing.append(...lines, ...this.#nodes.values());
    this.#parent.replaceChildren(drawing);
  }

  /** A tree that is a little too wide is shrunk; a wide one would not be readable any more. */
  #begin() {
    this.#parent.classList.remove("fit"); // in which everything would seem to fit
    const { clientWidth, scrollWidth } = this.#parent;
    this.#fit.hidden = scrollWidth <= clientWidth;
    this.#scale(clientWidth / scrollWidth >= READABLE);
  }

  #scale(fit) {
    this.#parent.classList.toggle("fit", fit && !this.#fit.hidden);
    setText(this.#fit, fit ? "Full size" : "Fit to width");
    this.#showRoot();
  }

  #showRoot() {
    const root = this.#layout.nodes[0];
    const middle = root ? corner(root).x + NODE.width / 2 : 0;
    if (!this.#parent.classList.contains("fit")) this.#parent.scrollTo(middle - this.#parent.clientWidth / 2, 0);
  }

  #point(event, on) {
    const node = event.target.closest(".node");
    this.#select(on && node ? Number(node.dataset.index) : null);
  }

  #move(event) {
    const current = event.target.closest(".node");
    const step = STEPS[event.key];
    if (!current || !step) return;
    event.preventDefault();
    const next = step(this.#layout, Number(current.dataset.index));
    if (next !== undefined) this.#focus(next);
  }

  #focus(index) {
    const next = this.#nodes.get(index);
    if (!next) return;
    this.#parent.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }
}

const STEPS = {
  ArrowUp: ({ edges }, index) => edges.find(({ from }) => from === index)?.to,
  ArrowDown: ({ edges }, index) => edges.find(({ to }) => to === index)?.from,
  ArrowLeft: (layout, index) => neighbour(layout, index, -1),
  ArrowRight: (layout, index) => neighbour(layout, index, 1),
};

/** The nearest node of the same row, to the left (-1) or to the right (1). */
function neighbour({ nodes }, index, side) {
  const here = nodes.find((node) => node.index === index);
  const there = nodes.filter((node) => node.y === here.y && (node.x - here.x) * side > 0);
  there.sort((a, b) => (a.x - b.x) * side);
  return there[0]?.index;
}

/** Return what the drawing leaves out, in words; '' if nothing. */
export function leftOut(job, layout) {
  if (layout.nodes.length === job.total) return "";
  if (!layout.nodes.length) return "not drawn: the sample has no operation at the root; see the table";
  const drawn = `the ${format.count(layout.nodes.length)} of ${format.counted(job.total, "operation")} nearest to the root`;
  return job.sampled ? `${drawn}; of a job as large as this, a sample is kept` : drawn;
}

function corner({ x, y }) {
  return { x: MARGIN + x * (NODE.width + GAP.x), y: MARGIN + y * (NODE.height + GAP.y) };
}

function edge(child, parent, critical) {
  const [x1, y1] = [child.x + NODE.width / 2, child.y];
  const [x2, y2] = [parent.x + NODE.width / 2, parent.y + NODE.height];
  const middle = (y1 + y2) / 2;
  return svg("path", { class: critical ? "edge critical" : "edge", d: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}` });
}

function node(operation, { x, y }, critical) {
  const group = svg("g", {
    class: `node${critical ? " critical" : ""}`,
    transform: `translate(${x} ${y})`,
    tabindex: "-1",
    role: "img",
    "aria-label": spoken(operation) + (critical ? "; on the critical path" : ""),
    "data-index": operation.index,
    "data-state": operation.state,
  });
  const line = (at, kind, text) => svg("text", { x: 10, y: at, class: kind, text });
  group.append(
    svg("title", { text: spoken(operation) }),
    svg("rect", { width: NODE.width, height: NODE.height, rx: 6 }),
    line(19, "what", asked(operation)),
    line(36, "came", came(operation)),
    line(54, "where", operation.worker ? cut(operation.worker, 26) : ""),
    line(69, "where", times(operation)),
  );
  if (operation.attempts.length > 1) group.append(tries(operation.attempts.length));
  return group;
}

function asked({ op1, operation, op2 }) {
  return `${operand(op1)} ${format.sign(operation)} ${operand(op2)}`;
}

function operand(text) {
  return text === null ? "·" : cut(text, 9);
}

function came({ state, result, error }) {
  if (state === "done") return `= ${cut(result, 18)}`;
  return state === "failed" ? cut(error ?? "failed", 20) : state;
}

function times({ queued_s, on_the_way_s }) {
  if (queued_s === null) return "";
  const ran = on_the_way_s === null ? "under way" : `ran ${format.duration(on_the_way_s)}`;
  return `waited ${format.duration(queued_s)} · ${ran}`;
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
}

function tries(attempts) {
  return svg("text", { x: NODE.width - 8, y: 54, class: "tries", text: `${attempts} tries` });
}
