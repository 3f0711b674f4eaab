// The box to submit an expression. An error is shown under the column where it is.

import * as api from "./api.js";
import { setAttribute, setText } from "./dom.js";
import { jobAddress } from "./route.js";

/** Return what comes before `column` (from 1, in characters as Python counts them) in `text`. */
export function before(text, column) {
  return Array.from(text).slice(0, column - 1).join("");
}

export class SubmitForm {
  #form = document.getElementById("submit");
  #task = document.getElementById("submit-task");
  #caret = document.getElementById("submit-caret");
  #message = document.getElementById("submit-message");
  #button = this.#form.querySelector("button");

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#task.addEventListener("input", () => this.#clear());
    this.#task.addEventListener("scroll", () => this.#align());
  }

  /** Nothing of the state is shown here. */
  show() {}

  async #send() {
    this.#clear();
    const task = this.#task.value;
    this.#button.disabled = true;
    try {
      const { job_id: id } = await api.submit(task);
      this.#task.value = "";
      location.hash = jobAddress(id);
    } catch (problem) {
      this.#refused(task, problem);
    } finally {
      this.#button.disabled = false;
    }
  }

  #clear() {
    setText(this.#message, "");
    setAttribute(this.#task, "aria-invalid", null);
    this.#caret.hidden = true;
  }

  #refused(task, problem) {
    setText(this.#message, problem.message);
    setAttribute(this.#task, "aria-invalid", "true");
    this.#task.focus();
    if (!problem.column) return;
    const prefix = before(task, problem.column);
    setText(this.#caret.firstElementChild, prefix);
    this.#caret.hidden = false;
    this.#task.setSelectionRange(prefix.length, prefix.length);
    this.#align();
  }

  /** A long expression scrolls in its field, and the caret with it. */
  #align() {
    this.#caret.scrollLeft = this.#task.scrollLeft;
  }
}
