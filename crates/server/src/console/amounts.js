// Money is decimal text and BigInt. No floating point touches an amount.

const MICRO = 1_000_000n;

/** Thousands apart, in plain decimal text: `1234567.5` becomes `1,234,567.5`. */
export function grouped(text) {
  const [whole, fraction] = String(text).split('.');
  const sign = whole.startsWith('-') ? '-' : '';
  const digits = whole.slice(sign.length).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? sign + digits : `${sign}${digits}.${fraction}`;
}

/** USD as people write it, exact: at least two decimals, and every further one that there is. */
export function usd(text) {
  if (text === null || text === undefined) return null;
  const [whole, fraction = ''] = String(text).split('.');
  return `$${grouped(`${whole}.${fraction.padEnd(2, '0')}`)}`;
}

/** Decimal USD to micro-USD. */
export function micros(text) {
  const [whole, fraction = ''] = String(text).split('.');
  return BigInt(whole) * MICRO + BigInt(fraction.padEnd(6, '0').slice(0, 6));
}

/** Micro-USD to decimal USD without trailing zeros. */
export function fromMicros(amount) {
  return units(amount, 6);
}

/** Base units as a plain decimal without trailing zeros. */
export function units(amount, decimals) {
  const value = BigInt(amount);
  const sign = value < 0n ? '-' : '';
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return sign + (fraction ? `${whole}.${fraction}` : whole);
}

/** How much of `max` is used, in thousandths, at most 1000; what a bar draws, never what anything is decided by. */
export function thousandths(used, max) {
  const [part, whole] = [micros(used), micros(max)];
  if (whole === 0n) return part === 0n ? 0 : 1000;
  const ratio = (part * 1000n) / whole;
  return Number(ratio > 1000n ? 1000n : ratio);
}

/** Wei as a gas price in gwei. */
export function gwei(hex) {
  return `${grouped(units(hex, 9))} gwei`;
}

/** 2^256 − 1 and the like: nothing bounds it. */
export function isEndless(amount) {
  const value = BigInt(amount);
  return value >= (1n << 160n) - 1n;
}
