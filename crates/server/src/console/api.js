// The operators' API is the one and only source of what is shown.

import { heard } from './time.js';

/** What the gateway answered instead: problem details (RFC 9457), or that it did not answer. */
export class Problem extends Error {
  constructor(status, code, detail, body) {
    super(detail);
    this.status = status;
    this.code = code;
    this.body = body ?? {};
  }
}

const DEADLINE_MS = 30_000;
const listeners = new Set();

/** Calls back when the gateway says that nobody is logged in any more. */
export function onSignedOut(listener) {
  listeners.add(listener);
}

async function answer(method, path, body, signal) {
  const headers = { accept: 'application/json' };
  if (method !== 'GET') headers['countersign-console'] = '1';
  if (body !== undefined) headers['content-type'] = 'application/json';
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const response = await fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    credentials: 'same-origin',
    redirect: 'error',
  }).catch((error) => {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, 'unreachable', error.name === 'TimeoutError'
      ? 'The gateway did not answer in time.' : 'The gateway cannot be reached.');
  });
  heard(response.headers.get('date'));
  return response;
}

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  const detail = body.detail ?? `The gateway answered ${response.status}.`;
  return new Problem(response.status, body.code ?? 'unknown', detail, body);
}

async function ask(method, path, body, signal) {
  const response = await answer(method, path, body, signal);
  if (response.ok) return response.status === 204 ? null : response.json();
  if (response.status === 401 && path !== '/session') listeners.forEach((listener) => listener());
  throw await problem(response);
}

/** A path with the parameters that are not empty. */
export function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

export const get = (path, signal) => ask('GET', path, undefined, signal);
export const post = (path, body, signal) => ask('POST', path, body ?? {}, signal);
export const patch = (path, body) => ask('PATCH', path, body);
export const remove = (path) => ask('DELETE', path);

/** Readiness: also what a gateway says that is not ready. */
export async function readiness() {
  const response = await answer('GET', '/readyz');
  if (response.ok || response.status === 503) return response.json();
  throw await problem(response);
}

/** An open answer to read from. */
export async function open(path, signal, accept = 'text/event-stream') {
  const response = await fetch(path, { headers: { accept }, signal, credentials: 'same-origin', redirect: 'error' });
  if (response.status === 401) listeners.forEach((listener) => listener());
  if (!response.ok || !response.body) throw await problem(response);
  return response.body;
}

/**
 * Saves an answer as a file, however long: the browser itself writes it. Whether there is one is asked first, so that a
 * problem is told here instead of being saved.
 */
export async function stream(path, name) {
  const look = new AbortController();
  const response = await answer('GET', path, undefined, look.signal);
  if (response.status === 401) listeners.forEach((listener) => listener());
  if (!response.ok) throw await problem(response);
  look.abort();
  const link = document.createElement('a');
  link.href = path;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
