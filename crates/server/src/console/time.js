// Times are UTC, with their age beside them. Ages are by the gateway's clock, not the browser's.

import { h } from './dom.js';

let skew = 0;

/** What the gateway's clock said in an answer. */
export function heard(date) {
  const there = Date.parse(date ?? '');
  if (!Number.isNaN(there)) skew = there - Date.now();
}

/** The gateway's time, as near as an answer's header tells it. */
export function now() {
  return Date.now() + skew;
}

/** `2026-11-22 01:56:02 UTC` */
export function utc(iso) {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

const STEPS = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

/** A duration in its two largest parts: `3 h 5 min`. */
export function span(ms) {
  let rest = Math.max(0, Math.floor(ms / 1000));
  const parts = [];
  for (const [size, name] of STEPS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break;
  }
  return parts.join(' ') || '0 s';
}

function relative(iso) {
  const difference = now() - Date.parse(iso);
  if (Math.abs(difference) < 1000) return 'now';
  return difference > 0 ? `${coarse(difference)} ago` : `in ${coarse(-difference)}`;
}

function coarse(ms) {
  const seconds = Math.floor(ms / 1000);
  const [size, name] = STEPS.find(([step]) => seconds >= step) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${name}`;
}

/** Age, with the exact time on hover and for assistive technology. */
export function ago(iso) {
  if (!iso) return '–';
  return h('time', { datetime: iso, title: utc(iso), 'data-shows': 'age', class: 'num' }, relative(iso));
}

/** The exact time with its age. */
export function stamp(iso) {
  if (!iso) return '–';
  return h('span', { class: 'stamp num' }, h('time', { datetime: iso }, utc(iso)), ' ',
    h('time', { datetime: iso, 'data-shows': 'age', class: 'quiet' }, relative(iso)));
}

/** How long is left until then. */
export function left(iso) {
  const element = h('time', { datetime: iso, title: utc(iso), 'data-shows': 'left', class: 'num' });
  return tick(element);
}

function tick(element) {
  const { shows } = element.dataset;
  const iso = element.getAttribute('datetime');
  if (shows === 'age') element.textContent = relative(iso);
  if (shows === 'left') {
    const rest = Date.parse(iso) - now();
    element.textContent = rest > 0 ? `${span(rest)} left` : 'expired';
    element.classList.toggle('urgent', rest < 5 * 60_000);
  }
  return element;
}

/** Keeps every age on the page true. */
export function startClock() {
  setInterval(() => document.querySelectorAll('time[data-shows]').forEach(tick), 1000);
}
