// What changes from one text to another, line by line.

import { h } from './dom.js';
import { said } from './untrusted.js';

const CELLS_MAX = 1_000_000;
const AROUND = 3;

/** The lines of both as `[mark, text]`, the mark being ` `, `-` or `+`; null where they are too long to be compared. */
export function lines(before, after) {
  const [old, now] = [before.split('\n'), after.split('\n')];
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const [gone, come] = [old.slice(head, old.length - tail), now.slice(head, now.length - tail)];
  if (gone.length * come.length > CELLS_MAX) return null;
  const kept = (text) => [' ', text];
  return [...old.slice(0, head).map(kept), ...middle(gone, come), ...old.slice(old.length - tail).map(kept)];
}

/** By the longest common subsequence. */
function middle(gone, come) {
  const width = come.length + 1;
  const longest = new Uint32Array((gone.length + 1) * width);
  for (let i = gone.length - 1; i >= 0; i -= 1) {
    for (let j = come.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = gone[i] === come[j] ? longest[(i + 1) * width + j + 1] + 1 : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < gone.length || j < come.length) {
    if (i < gone.length && j < come.length && gone[i] === come[j]) {
      found.push([' ', gone[i]]);
      i += 1;
      j += 1;
    } else if (i < gone.length && (j === come.length || longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
      found.push(['-', gone[i]]);
      i += 1;
    } else {
      found.push(['+', come[j]]);
      j += 1;
    }
  }
  return found;
}

/** The lines that differ, with a few around them. */
export function difference(label, before, after) {
  const all = lines(before.replace(/\n$/, ''), after.replace(/\n$/, ''));
  if (all === null) return h('p', { class: 'quiet' }, 'The texts are too long to be compared here.');
  const isNear = (at) => all.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(([mark]) => mark !== ' ');
  const shown = [];
  let isCut = false;
  all.forEach(([mark, text], at) => {
    if (!isNear(at)) {
      isCut = true;
      return;
    }
    if (isCut && shown.length > 0) shown.push(h('span', { class: 'diff-line quiet' }, '  ⋯\n'));
    isCut = false;
    shown.push(marked(mark, text));
  });
  if (shown.length === 0) return h('p', { class: 'quiet' }, 'The texts are the same.');
  return h('pre', { class: 'source diff', tabindex: '0', role: 'region', 'aria-label': label, 'data-scroll': label }, shown);
}

function marked(mark, text) {
  if (mark === '-') return h('del', { class: 'diff-line diff-gone' }, '- ', said(text), '\n');
  if (mark === '+') return h('ins', { class: 'diff-line diff-come' }, '+ ', said(text), '\n');
  return h('span', { class: 'diff-line' }, '  ', said(text), '\n');
}
