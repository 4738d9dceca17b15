// Pages by the fragment of the address, so that each has a link and none meets a route of the API.

/** The parts of the place that is shown: `/inbox/op_1?x=y` is `{ parts: ['inbox', 'op_1'], query }`. */
export function place() {
  const [path, query = ''] = location.hash.replace(/^#/, '').split('?', 2);
  return { parts: path.split('/').filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Goes to another place. */
export function go(path) {
  location.hash = path;
}

/** Changes the address without leaving the page. */
export function note(path) {
  history.replaceState(null, '', `#${path}`);
}

/** A path with a query. */
export function path(parts, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const text = new URLSearchParams(given).toString();
  const base = `/${parts.map(encodeURIComponent).join('/')}`;
  return text ? `${base}?${text}` : base;
}
