// The console: who is here, what is around every page, and which page is shown.

import { get, onSignedOut, remove } from './api.js';
import { announce, closeAll, places } from './dialogs.js';
import { h, replace, s } from './dom.js';
import { scopeOf, wordOf } from './freezes.js';
import { always, help, here, startKeys } from './keyboard.js';
import { listen } from './live.js';
import { login, mayBeSignedIn, noteSignedIn } from './login.js';
import { go, place } from './router.js';
import { themeSwitch } from './theme_switch.js';
import { forgetSpend } from './spend.js';
import { startClock } from './time.js';
import { said } from './untrusted.js';
import { chip, nothing } from './widgets.js';

import { agents } from './agents.js';
import { evidence } from './evidence.js';
import { find, searchForm } from './find.js';
import { inbox } from './inbox.js';
import { incidents } from './incidents.js';
import { operations } from './operations.js';
import { overview } from './overview.js';
import { policies } from './policies.js';
import { traces } from './traces.js';

const PAGES = { overview, inbox, operations, traces, incidents, agents, policies, evidence, find };

const NAVIGATION = [
  ['overview', 'Overview', 'o', 'M3 12h4l3 8 4-16 3 8h4'],
  ['inbox', 'Inbox', 'i', 'M4 13v6h16v-6l-3-8H7l-3 8h5l1 3h4l1-3h5'],
  ['operations', 'Operations', 'p', 'M4 7h11l-3-3m8 13H9l3 3'],
  ['traces', 'Traces', 't', 'M6 4v10a4 4 0 0 0 4 4h8m-3-3 3 3-3 3M6 8h8'],
  ['incidents', 'Incidents', 'n', 'M12 4 3 20h18L12 4zm0 6v5m0 2v1'],
  ['agents', 'Agents', 'a', 'M5 20c0-4 3-6 7-6s7 2 7 6M12 4a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7z'],
  ['policies', 'Policies', 'y', 'M7 3h7l4 4v14H7zM10 11h5m-5 4h5'],
  ['evidence', 'Evidence', 'e', 'M12 3v11m-4-4 4 4 4-4M5 18v3h14v-3'],
];

/** Whoever is logged in, and everything that lives as long as they are. */
let desk = null;

function can(session) {
  return (role) => session.roles.includes(role);
}

async function enter() {
  if (!mayBeSignedIn()) return showLogin();
  try {
    const session = await get('/session');
    openDesk({ ...session, can: can(session) });
  } catch (error) {
    noteSignedIn(false);
    showLogin(error.status === 401 ? null : error.message);
  }
}

function showLogin(why) {
  leave();
  document.body.replaceChildren(login({
    why,
    done: (session) => {
      noteSignedIn(true);
      openDesk({ ...session, can: can(session) });
    },
  }), ...places());
}

function leave() {
  closeAll();
  desk?.live.stop();
  desk?.page?.leave?.();
  desk = null;
  forgetSpend();
}

function openDesk(session) {
  const shell = frame(session);
  document.body.replaceChildren(...shell.elements, ...places());
  desk = { session, shell, page: null, name: null, overview: null };
  desk.live = listen({ changed, state: shell.state });
  navigate();
  refreshOverview();
}

function frame(session) {
  const items = new Map(NAVIGATION.map(([name, text, , drawing]) => {
    const count = h('span', { class: 'count' });
    const icon = s('svg', { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true' }, s('path', { d: drawing }));
    return [name, { element: h('a', { href: `#/${name}` }, icon, h('span', null, text), count), count }];
  }));
  const nav = h('nav', { id: 'navigation', 'aria-label': 'Pages' }, h('ul', null, [...items.values()].map(({ element }) => h('li', null, element))));
  const menu = h('button', { type: 'button', class: 'button menu', 'aria-expanded': 'false', 'aria-controls': 'navigation', on: { click: () => open(!document.body.classList.contains('nav-open')) } }, 'Menu');
  const open = (is) => {
    document.body.classList.toggle('nav-open', is);
    menu.setAttribute('aria-expanded', String(is));
  };
  nav.addEventListener('click', (event) => { if (event.target.closest('a')) open(false); });
  document.body.classList.remove('nav-open');
  const light = h('span', { class: 'live', title: 'Whether changes arrive by themselves' }, 'connecting');
  const who = h('details', { class: 'who' }, h('summary', null, said(session.operator)),
    h('div', { class: 'who-card' }, h('p', null, said(session.person), session.groups.length > 0 && h('span', { class: 'quiet' }, ` · ${session.groups.join(', ')}`)),
      h('p', null, session.roles.map((role) => [chip(role, 'quiet'), ' '])),
      themeSwitch(),
      h('button', { type: 'button', class: 'button', on: { click: help } }, 'Keyboard', h('kbd', { 'aria-hidden': 'true' }, '?')),
      h('button', { type: 'button', class: 'button', on: { click: signOut } }, 'Log out')));
  document.addEventListener('click', (event) => { if (!who.contains(event.target)) who.open = false; });
  who.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    who.open = false;
    who.querySelector('summary').focus();
  });
  const banner = h('div', { class: 'banners', role: 'status' });
  const main = h('main', { id: 'main', tabindex: '-1' });
  const header = h('header', { class: 'top' }, h('a', { class: 'brand', href: '#/overview' }, h('img', { src: '/console/mark.svg', alt: '', width: 22, height: 22 }), 'Countersign'),
    searchForm(), light, menu, who);
  return {
    elements: [h('a', { class: 'skip', href: '#main', on: { click: (event) => { event.preventDefault(); main.focus(); } } }, 'Skip to the content'), header, nav, h('div', { class: 'stage' }, banner, main)],
    items, banner, main,
    state(word) {
      light.textContent = word;
      light.className = `live live-${word}`;
    },
  };
}

async function signOut() {
  await remove('/session').catch(() => null);
  noteSignedIn(false);
  showLogin();
}

function navigate() {
  if (!desk) return;
  const { parts, query } = place();
  const [name = 'overview', ...rest] = parts;
  const page = PAGES[name];
  const given = { parts: rest, query, session: desk.session };
  if (page && desk.name === name && desk.page?.moved?.(given)) return;
  closeAll();
  desk.page?.leave?.();
  here([]);
  for (const [key, { element }] of desk.shell.items) {
    if (key === name) element.setAttribute('aria-current', 'page');
    else element.removeAttribute('aria-current');
  }
  const { main } = desk.shell;
  const isFirst = desk.name === null;
  desk.name = name;
  window.scrollTo(0, 0);
  if (page) {
    main.replaceChildren();
    desk.page = page.mount(main, given);
    desk.title = page.title;
  } else {
    desk.page = null;
    desk.title = 'Not found';
    replace(main, h('h1', { tabindex: '-1' }, 'Not found'), nothing('There is no such page', 'Pick one on the left, or paste a hash into the search field.'));
  }
  titled();
  if (!isFirst) main.querySelector('h1')?.focus({ preventScroll: true });
}

function titled() {
  const waiting = desk?.overview?.pending ?? 0;
  document.title = `${waiting > 0 ? `(${waiting}) ` : ''}${desk?.title ?? 'Login'} · Countersign`;
}

/** Pages are asked again at most this often, however much happens. */
const REFRESH_MS = 1000;

let due = null;
let refreshedAt = 0;
let happened = new Set();

function changed(event) {
  if (!desk) return;
  if (event.name === 'overview') showOverview(parsed(event.data));
  else desk.isStale = true;
  happened.add(event.name);
  if (due !== null) return;
  due = setTimeout(() => {
    due = null;
    refreshedAt = Date.now();
    const names = happened;
    happened = new Set();
    if (!desk) return;
    if (desk.isStale) refreshOverview();
    desk.isStale = false;
    desk.page?.changed?.(names);
  }, Math.max(0, refreshedAt + REFRESH_MS - Date.now()));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function refreshOverview() {
  const own = desk;
  const seen = await get('/overview').catch(() => null);
  if (own === desk) showOverview(seen);
}

function showOverview(seen) {
  if (!desk || !seen) return;
  const before = desk.overview?.pending;
  desk.overview = seen;
  const { items, banner } = desk.shell;
  const count = (name, number) => {
    items.get(name).count.textContent = number > 0 ? String(number) : '';
  };
  count('inbox', seen.pending);
  count('incidents', seen.incidents_open);
  replace(banner, banners(seen));
  titled();
  if (before !== undefined && seen.pending > before) announce('Another operation waits for approval');
}

function banners({ sealed, freezes }) {
  return [
    sealed && h('p', { class: 'banner banner-bad' }, h('strong', null, 'The ledger is sealed: nothing new is signed. '), said(sealed)),
    freezes.length > 0 && h('p', { class: 'banner banner-warn' }, h('strong', null, 'Frozen: '), freezes.map((freeze, index) => [index > 0 && ', ', said(scopeOf(freeze)), ' ', wordOf(freeze)]), '. ', h('a', { href: '#/agents' }, 'Agents')),
  ];
}

always([
  ...NAVIGATION.map(([name, text, key]) => [`g ${key}`, `go to ${text}`, () => go(`/${name}`)]),
  ['/', 'search', () => document.querySelector('#search')?.focus()],
  ['?', 'this help', help],
]);
addEventListener('hashchange', navigate);
onSignedOut(() => {
  if (!desk) return;
  noteSignedIn(false);
  showLogin('Your session has ended. Log in again; you will be where you were.');
});
startClock();
startKeys();
enter();
