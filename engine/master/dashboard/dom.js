// Building and changing the page. Text is set as text, never as HTML; styles come from classes.

const SVG = "http://www.w3.org/2000/svg";

/** Return a new element. Of the attributes, `text` is its text. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Return a new SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, { text, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  if (text !== undefined) node.textContent = text;
  node.append(...children);
  return node;
}

/** Set a text, unless it is there already: an unchanged page is not laid out again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set the text of a cell, and as its title the `whole`: the cell may be too narrow for it. */
export function setCell(cell, text, whole = text) {
  setText(cell, text);
  setAttribute(cell, "title", whole || null);
}

/** Set an attribute, unless it is so already; `null` takes it away. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Rows of a table that keep their elements, and with them focus and selection, as items change. */
export class Rows {
  #body;
  #make;
  #show;
  #rows = new Map();

  /** `make(item)` returns a new row; `show(row, item)` brings one up to date. */
  constructor(body, make, show) {
    this.#body = body;
    this.#make = make;
    this.#show = show;
  }

  /** Show `items`, pairs of a key and an item, in this order, and no others. */
  update(items) {
    const wanted = new Set(items.map(([key]) => key));
    for (const [key, row] of this.#rows) {
      if (!wanted.has(key)) {
        row.remove();
        this.#rows.delete(key);
      }
    }
    let next = this.#body.firstElementChild;
    for (const [key, item] of items) {
      const row = this.#rows.get(key) ?? this.#made(key, item);
      this.#show(row, item);
      if (row === next) next = row.nextElementSibling;
      else this.#body.insertBefore(row, next);
    }
  }

  #made(key, item) {
    const row = this.#make(item);
    this.#rows.set(key, row);
    return row;
  }
}
