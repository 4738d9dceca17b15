// Charts as SVG of our own. The numbers are in a table beside each: a drawing alone tells nobody anything exactly.

import { fromMicros, micros, usd } from './amounts.js';
import { h, s } from './dom.js';

const HEIGHT = 120;
const WIDTH = 560;

/** Spend per day: settled, committed and reserved on top of each other. */
export function days(title, starts, sums) {
  const totals = sums.map((sum) => micros(sum.settled) + micros(sum.committed) + micros(sum.reserved));
  const most = totals.reduce((one, other) => (other > one ? other : one), 0n);
  const scale = (amount) => (most === 0n ? 0 : Number((amount * BigInt(HEIGHT * 100)) / most) / 100);
  const step = WIDTH / Math.max(1, starts.length);
  const bars = sums.map((sum, index) => {
    let top = HEIGHT;
    const rect = (kind, amount) => {
      const height = scale(micros(amount));
      if (height === 0) return null;
      top -= Math.max(height, 1);
      return s('rect', { class: `chart-${kind}`, x: index * step + step * 0.15, y: top, width: step * 0.7, height: Math.max(height, 1), rx: 1.5 });
    };
    return s('g', null, rect('settled', sum.settled), rect('committed', sum.committed), rect('reserved', sum.reserved),
      s('rect', { class: 'chart-hover', x: index * step, y: 0, width: step, height: HEIGHT },
        s('title', null, `${starts[index].slice(0, 10)}: ${usd(fromMicros(totals[index]))}, ${sum.operations} operations`)));
  });
  const total = totals.reduce((one, other) => one + other, 0n);
  const name = `${title}: ${usd(fromMicros(total))} in ${starts.length} days`;
  return h('figure', { class: 'chart' },
    h('div', { class: 'chart-head' }, h('ul', { class: 'chart-legend', 'aria-hidden': 'true' }, ['settled', 'committed', 'reserved'].map((kind) => h('li', null, s('svg', { viewBox: '0 0 10 10' }, s('rect', { width: 10, height: 10, class: `chart-${kind}` })), kind))),
      h('span', { class: 'quiet num' }, `most in a day ${usd(fromMicros(most))}`)),
    s('svg', { viewBox: `0 -4 ${WIDTH} ${HEIGHT + 6}`, role: 'img', 'aria-label': name, class: 'chart-drawing' },
      s('line', { class: 'chart-line', x1: 0, x2: WIDTH, y1: HEIGHT + 0.5, y2: HEIGHT + 0.5 }), bars),
    h('div', { class: 'chart-ends num', 'aria-hidden': 'true' }, h('span', null, starts[0]?.slice(5, 10) ?? ''), h('span', null, 'today')),
    h('details', { 'data-open': `chart ${title}` }, h('summary', null, 'Numbers'),
      h('div', { class: 'scrolls', tabindex: '0', role: 'region', 'aria-label': `${title} as a table` },
        h('table', { class: 'plain' }, h('caption', { class: 'visually-hidden' }, title),
          h('thead', null, h('tr', null, ['Day (UTC)', 'Settled', 'Committed', 'Reserved', 'Operations'].map((text) => h('th', { scope: 'col' }, text)))),
          h('tbody', null, sums.map((sum, index) => h('tr', null, h('th', { scope: 'row', class: 'num' }, starts[index].slice(0, 10)),
            [usd(sum.settled), usd(sum.committed), usd(sum.reserved), sum.operations].map((text) => h('td', { class: 'num' }, text)))).reverse())))));
}
