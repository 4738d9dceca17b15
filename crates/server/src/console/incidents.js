// What a person must know, and what became of it.

import { get, patch, withQuery } from './api.js';
import { announce, ask } from './dialogs.js';
import { h } from './dom.js';
import { filters, paging } from './lists.js';
import { ago, stamp } from './time.js';
import { said } from './untrusted.js';
import { button, chip, field, heading, link, named, nothing, pairs, region } from './widgets.js';

const STATUSES = ['Open', 'Investigating', 'Resolved', 'Dismissed'];
const SEVERITIES = ['Critical', 'High', 'Medium', 'Low'];
const NEXT = { Open: ['Investigating', 'Resolved', 'Dismissed'], Investigating: ['Resolved', 'Dismissed', 'Open'], Resolved: ['Open'], Dismissed: ['Open'] };
const VERB = { Open: 'Open again', Investigating: 'Investigate', Resolved: 'Resolve', Dismissed: 'Dismiss' };

function move(incident, status, refresh) {
  const dialog = ask({
    title: `${VERB[status]}?`,
    body: h('p', null, said(incident.title)),
    // an incident with a version has a history, and takes a note; and it is moved only if it is as it was seen
    fields: incident.version === undefined ? [] : field('Note (kept in its history)', h('input', { name: 'note', maxlength: 2000, autocomplete: 'off' })),
    yes: VERB[status],
    act: (form) => patch(`/incidents/${encodeURIComponent(incident.id)}`, incident.version === undefined ? { status } : { status, version: incident.version, ...(form.get('note') ? { note: form.get('note') } : {}) }),
  });
  dialog.closed.then((isDone) => {
    if (isDone) announce(`The incident is ${status.toLowerCase()}`, 'good');
    refresh();
  });
}

/** Who moved it, and when; a step without a name is the gateway's. */
function history(steps) {
  return h('ol', { class: 'timeline' }, steps.map((step) => h('li', null, h('span', { class: 'timeline-name' }, step.what), h('span', { class: 'timeline-more' }, said(step.by ?? 'the gateway'), ' ', chip(step.status), step.note && [' ', said(step.note)]), h('span', { class: 'timeline-at' }, ago(step.at)))));
}

function entry(incident, session, refresh, isOpen) {
  const traces = incident.traces ?? (incident.traceHash ? [incident.traceHash] : []);
  return h('li', null, h('details', { class: ['incident', `incident-${incident.severity.toLowerCase()}`], 'data-open': incident.id, open: isOpen },
    h('summary', null, chip(incident.severity), h('span', { class: 'incident-title' }, said(incident.title)), incident.count > 1 && chip(`${incident.count} times`, 'quiet'), chip(incident.status), h('span', { class: 'quiet' }, ago(incident.lastSeenAt ?? incident.createdAt))),
    h('div', { class: 'incident-body' },
      incident.description && h('p', { class: 'prewrap' }, said(incident.description)),
      pairs([
        ['Code', h('code', null, said(incident.code))],
        ['Agent', incident.agent && said(incident.agent)],
        ['Session', incident.session && said(incident.session)],
        ['Traces', traces.length > 0 && h('span', null, traces.slice(0, 8).map((hash) => [named(`/traces/${hash}`, hash), ' ']))],
        ['First seen', stamp(incident.createdAt)],
        ['Last seen', incident.lastSeenAt && stamp(incident.lastSeenAt)],
        ['Changed', stamp(incident.updatedAt)],
        ['Incident', link(`/incidents/${incident.id}`, h('code', { class: 'break' }, said(incident.id)))],
      ]),
      incident.history?.length > 0 && history(incident.history),
      session.can('approve') ? h('div', { class: 'actions' }, NEXT[incident.status].map((status) => button(VERB[status], { press: () => move(incident, status, refresh), key: `${incident.id} ${status}` })))
        : h('p', { class: 'quiet' }, 'You may look, but your roles do not include `approve`.'))));
}

export const incidents = {
  title: 'Incidents',
  mount(main, { parts, query, session }) {
    const place = h('div');
    const [wanted] = parts;
    const bar = filters(query, 'incidents', [
      ['status', 'Status', [['', 'Any'], ...STATUSES.map((status) => [status, status])]],
      ['severity', 'Severity', [['', 'Any'], ...SEVERITIES.map((severity) => [severity, severity])]],
    ], () => shown.refresh());
    main.append(heading('Incidents'), bar.element, place);
    const shown = region(place, async (signal) => {
      const { severity, ...rest } = bar.values();
      const page = await get(withQuery('/incidents', { ...rest, limit: wanted ? 1000 : 200 }), signal);
      const fits = (incident) => (!severity || incident.severity === severity) && (!wanted || incident.id === wanted);
      return { items: page.items.filter(fits), next_cursor: page.next_cursor };
    }, (page) => (page.items.length === 0 ? nothing('No incidents', wanted ? 'There is none of this name.' : 'Nothing that fits what is asked for has happened.') : [
      h('ul', { class: 'incidents' }, page.items.map((incident) => entry(incident, session, () => shown.refresh(), incident.id === wanted))), paging(bar, page)]));
    return { changed: shown.refresh, leave: shown.leave };
  },
};
