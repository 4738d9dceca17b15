// Elements are made with createElement and textContent only: nothing here, and nothing that uses it, reads markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === 'class') {
      element.setAttribute('class', Array.isArray(value) ? value.filter(Boolean).join(' ') : value);
    } else if (name === 'value') {
      element.value = value;
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** An HTML element; strings among its children are text. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

let last = 0;

/** An id that nothing else on the page has. */
export function freshId(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}

/** Puts children in the place of others; keeps the focus and scrolled places where they were. */
export function replace(place, ...children) {
  const focused = place.contains(document.activeElement) ? key(document.activeElement) : null;
  const scrolled = new Map([...place.querySelectorAll('[data-scroll]')]
    .map((element) => [element.dataset.scroll, element.scrollTop]));
  const opened = new Map([...place.querySelectorAll('details[data-open]')]
    .map((element) => [element.dataset.open, element.open]));
  place.replaceChildren(...nodes(children));
  for (const element of place.querySelectorAll('[data-scroll]')) {
    element.scrollTop = scrolled.get(element.dataset.scroll) ?? 0;
  }
  for (const element of place.querySelectorAll('details[data-open]')) {
    if (opened.has(element.dataset.open)) element.open = opened.get(element.dataset.open);
  }
  if (focused) {
    const again = [...place.querySelectorAll('a,button,input,select,textarea,summary,[tabindex]')]
      .find((element) => key(element) === focused);
    again?.focus({ preventScroll: true });
  }
}

function key(element) {
  return element.dataset.key ?? (element.id || `${element.tagName} ${element.getAttribute('href') ?? ''} ${element.textContent.slice(0, 80)}`);
}
