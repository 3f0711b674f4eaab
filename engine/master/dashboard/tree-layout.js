// Where the operations of an expression stand when they are drawn as a tree. Pure.
//
// Units are nodes: x counts columns and y rows. A leaf has a column of its own, in the order of the
// text; a parent stands in the middle over its children; so no two nodes overlap, and a chain is a
// straight line. Nothing recurses: an expression may be as deep as it likes.

/**
 * Return `{ nodes, edges, width, height, left }` for `operations` ({ index, parent, column }).
 *
 * `nodes` are { index, x, y } and `edges` { from, to } (child and parent index). Drawn are at most
 * `most` operations, those nearest to the root; `left` is how many of the operations are not.
 */
export function layOut(operations, most) {
  const children = childrenOf(operations);
  const drawn = nearest(operations, children, most);
  const depth = depths(drawn);
  const x = columns(drawn, children);
  const nodes = drawn.map(({ index }) => ({ index, x: x.get(index), y: depth.get(index) }));
  return {
    nodes,
    edges: drawn.slice(1).map(({ index, parent }) => ({ from: index, to: parent })),
    width: 1 + Math.max(-1, ...nodes.map((node) => node.x)),
    height: 1 + Math.max(-1, ...nodes.map((node) => node.y)),
    left: operations.length - drawn.length,
  };
}

function childrenOf(operations) {
  const children = new Map(operations.map(({ index }) => [index, []]));
  for (const operation of operations) {
    children.get(operation.parent)?.push(operation);
  }
  for (const siblings of children.values()) {
    siblings.sort((a, b) => a.column - b.column);
  }
  return children;
}

/** The root and what hangs on it, row by row: of a sample, some operations hang on nothing. */
function nearest(operations, children, most) {
  const root = operations.find(({ parent }) => parent === null);
  const found = root ? [root] : [];
  for (let at = 0; at < found.length && found.length < most; at++) {
    found.push(...children.get(found[at].index).slice(0, most - found.length));
  }
  return found;
}

function depths(drawn) {
  const depth = new Map();
  for (const { index, parent } of drawn) {
    depth.set(index, (depth.get(parent) ?? -1) + 1);
  }
  return depth;
}

function columns(drawn, children) {
  const isDrawn = new Set(drawn.map(({ index }) => index));
  const x = new Map();
  let leaves = 0;
  for (const { index } of fromTheLeaves(drawn, children, isDrawn)) {
    const below = children.get(index).filter((child) => isDrawn.has(child.index));
    x.set(index, below.length ? (x.get(below[0].index) + x.get(below.at(-1).index)) / 2 : leaves++);
  }
  return x;
}

/** Children before their parents, and left before right. */
function fromTheLeaves(drawn, children, isDrawn) {
  const order = [];
  const stack = drawn.slice(0, 1);
  while (stack.length) {
    const operation = stack.pop();
    order.push(operation);
    stack.push(...children.get(operation.index).filter((child) => isDrawn.has(child.index)));
  }
  return order.reverse();
}
