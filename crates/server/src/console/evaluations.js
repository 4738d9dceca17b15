// What an agent is measured by.

import { usd } from './amounts.js';
import { percent } from './version_parts.js';

const ms = (time) => (time === null ? '–' : `${time} ms`);

/** The columns of an evaluation. */
export const scores = [
  ['Decisions', (one) => one.decisions, 'right'],
  ['Allowed', (one) => one.allowed, 'right'],
  ['Parked', (one) => one.parked, 'right'],
  ['Denied', (one) => one.denied, 'right'],
  ['Failed', (one) => one.failed, 'right'],
  ['Compliance', (one) => percent(one.compliance_bp), 'right'],
  ['Utility', (one) => percent(one.utility_bp), 'right'],
  ['Safety', (one) => percent(one.safety_bp), 'right'],
  ['Latency, half', (one) => ms(one.latency_p50_ms), 'right'],
  ['99 of 100', (one) => ms(one.latency_p99_ms), 'right'],
  ['Moved', (one) => usd(one.usd_moved), 'right'],
  ['Fees at most', (one) => usd(one.fees_usd), 'right'],
];

export const EXPLAINED = 'Compliance: decided again exactly as recorded. Utility: allowed, or done in the end. Safety: of decisions at high risk, denied or parked.';
