// What changes arrives by itself: server-sent events, read with fetch so that every event is seen whatever its name.
// Without them the lists are asked again now and then. A hidden page listens to nothing: browsers allow few
// connections to one host, and a page that nobody sees needs none.

import { open } from './api.js';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
const POLL_MS = 10_000;
const POLL_HIDDEN_MS = 60_000;
const LINE_MAX = 1 << 20;

/** Listens until `stop` is called. `changed(event)` is called for what happened, `state(word)` with `live`, `connecting` or `offline`. */
export function listen({ changed, state }) {
  const all = new AbortController();
  let connection = null;
  let isLive = false;

  const say = (word) => {
    isLive = word === 'live';
    state(word);
  };

  async function run() {
    let pause = FIRST_PAUSE_MS;
    while (!all.signal.aborted) {
      if (document.hidden) {
        await until('visibilitychange', all.signal);
        continue;
      }
      connection = new AbortController();
      try {
        await read(await open('/events', AbortSignal.any([connection.signal, all.signal])), (event) => {
          pause = FIRST_PAUSE_MS;
          changed(event);
        }, () => say('live'));
        say('connecting');
      } catch (error) {
        if (all.signal.aborted) return;
        say(error.name === 'AbortError' ? 'connecting' : 'offline');
      }
      await sleep(pause / 2 + Math.random() * (pause / 2), all.signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  const seen = () => {
    if (document.hidden) connection?.abort();
    else changed({ name: 'seen', data: '' });
  };
  document.addEventListener('visibilitychange', seen);

  let asked = Date.now();
  const poll = setInterval(() => {
    const due = document.hidden ? POLL_HIDDEN_MS : POLL_MS;
    if (isLive && !document.hidden) return;
    if (Date.now() - asked < due) return;
    asked = Date.now();
    changed({ name: 'poll', data: '' });
  }, 1000);

  say('connecting');
  run();
  return {
    stop() {
      all.abort();
      clearInterval(poll);
      document.removeEventListener('visibilitychange', seen);
    },
  };
}

async function read(body, changed, opened) {
  opened();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let event = { name: 'message', data: '' };
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    if (rest.length > LINE_MAX) throw new Error('a line is too long');
    const lines = rest.split(/\r\n|\n|\r/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (event.data !== '') changed(event);
        event = { name: 'message', data: '' };
      } else if (line.startsWith('event:')) {
        event.name = line.slice(6).trim();
      } else if (line.startsWith('data:')) {
        event.data += line.slice(5).trimStart();
      }
    }
  }
}

function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

function until(name, signal) {
  return new Promise((resolve) => {
    document.addEventListener(name, resolve, { once: true, signal });
    signal.addEventListener('abort', resolve, { once: true });
  });
}
