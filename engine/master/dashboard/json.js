// JSON whose numbers stay as they were written.
//
// A browser reads 9007199254740993 as ...992 and 7.0 as 7. An answer is exact, so the numbers of the
// tasks (and no others: times and counts may be numbers) come out as the text that the master wrote.
// Pure, and the only place that knows how numbers look in JSON.

const EXACT = new Set(["answer", "op1", "op2", "result"]);
const NUMBER_STARTS = "-0123456789";
const NUMBER_HAS = "+-.0123456789eE";

/**
 * Return what the JSON in `text` says, with the numbers under the keys of EXACT as strings.
 * Throws SyntaxError for what is no JSON.
 */
export function parse(text) {
  const pieces = [];
  let copied = 0;
  let key = "";
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') {
      const end = endOfString(text, at);
      key = text[end + 1] === ":" ? text.slice(at + 1, end) : ""; // the master writes no blanks
      at = end;
    } else if (NUMBER_STARTS.includes(text[at])) {
      const end = endOfNumber(text, at);
      if (EXACT.has(key)) {
        pieces.push(text.slice(copied, at), '"', text.slice(at, end), '"');
        copied = end;
      }
      at = end - 1;
    }
  }
  pieces.push(text.slice(copied));
  return JSON.parse(pieces.join(""));
}

function endOfString(text, start) {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') {
    at += text[at] === "\\" ? 2 : 1;
  }
  return at;
}

function endOfNumber(text, start) {
  let at = start + 1;
  while (at < text.length && NUMBER_HAS.includes(text[at])) {
    at++;
  }
  return at;
}
