// Light, dark, or as the system is.

import { h } from './dom.js';

const KEPT = 'countersign.theme';
const THEMES = [['system', 'System'], ['light', 'Light'], ['dark', 'Dark']];

function put(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEPT, theme);
  } catch { /* it stands until the page is left */ }
}

export function themeSwitch() {
  const now = document.documentElement.dataset.theme ?? 'system';
  return h('fieldset', { class: 'theme' }, h('legend', null, 'Theme'), THEMES.map(([key, text]) => h('label', null,
    h('input', { type: 'radio', name: 'theme', value: key, checked: key === now, on: { change: () => put(key) } }), h('span', null, text))));
}
