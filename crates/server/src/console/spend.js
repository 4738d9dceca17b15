// What was spent day by day. The gateway adds it up from its operations, which is work: it is asked now and then only.

import { get, withQuery } from './api.js';

const FRESH_MS = 30_000;
const kept = new Map();

/** Per agent and day; `null` where the gateway cannot say. */
export async function spendOf(days) {
  const known = kept.get(days);
  if (known && Date.now() - known.at < FRESH_MS) return known.answer;
  const answer = get(withQuery('/spend', { days })).catch(() => {
    kept.delete(days);
    return null;
  });
  kept.set(days, { at: Date.now(), answer });
  return answer;
}

/** Forgets what one operator saw before another comes. */
export function forgetSpend() {
  kept.clear();
}
