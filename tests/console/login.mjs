// An operator comes in with a passkey, and with nothing that only looks like one.

import { generateKeyPairSync } from 'node:crypto';
import { make } from '../clients/authenticator.mjs';
import { accessible, api, end, equal, holds, person, picture, settled, until, visit, world } from './browser.mjs';

const home = world.admin.replace('127.0.0.1', 'localhost');
const page = await person({ expected: [401, 403, 410] });
const cdp = await page.context().newCDPSession(page);
await cdp.send('WebAuthn.enable');
const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
  options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});
const std = (text) => Buffer.from(text, 'base64url').toString('base64');
const holdsKey = (id, privateKey, signCount) => cdp.send('WebAuthn.addCredential', {
  authenticatorId,
  credential: { credentialId: std(id), isResidentCredential: true, rpId: 'localhost', privateKey: std(privateKey), userHandle: Buffer.from('bob').toString('base64'), signCount },
});
const made = make('p256');
await holdsKey(made.id, made.private_key, 1);

const enter = () => page.getByRole('button', { name: 'Log in with a passkey' }).click();
const alert = page.getByRole('alert');
const says = async (words) => { await alert.getByText(words).waitFor(); };
const inside = () => page.getByRole('navigation', { name: 'Pages' }).waitFor();
const out = async () => {
  await page.locator('.who summary').click();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Operator’s token').waitFor();
};

// a passkey belongs to a domain, and 127.0.0.1 is none
await visit(page, '/overview');
await enter();
await says('Passkeys are used at localhost: open the console there.');

// nobody has this one yet
await page.goto(`${home}/#/overview`);
await enter();
await says('No operator has this passkey.');
await accessible(page, 'login');
await picture(page, 'login-light');

// the configuration gets it while the gateway runs, and a group with it that can be seen
console.log(JSON.stringify({ passkey: { id: made.id, public_key: made.public_key } }));
let sent;
page.on('request', (request) => { if (request.method() === 'POST' && request.url().endsWith('/session')) sent = request.postData(); });
await until('the gateway to know it', async () => (await api('/session', { operator: 'bob' })).json.groups.includes('keyed'));
await enter();
await inside();
await settled(page);
const session = await page.evaluate(async () => (await fetch('/session')).json());
equal([session.operator, session.roles], ['bob', ['view', 'approve']], 'who came in');
holds(!sent.includes(world.tokens.bob) && JSON.parse(sent).passkey, 'what was sent');
equal(await page.evaluate(() => document.cookie), '', 'what a script sees of the cookie');

// what was sent once is worth nothing again
const again = await fetch(`${world.admin}/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: sent });
equal([again.status, (await again.json()).code], [410, 'challenge_over'], 'the same again');

// whoever has the authenticator and is not its owner
await out();
await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
await enter();
await says('The passkey did not sign. Nobody is logged in.');
await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true });

// a copy of it stands where it was copied
const { credential } = await cdp.send('WebAuthn.getCredential', { authenticatorId, credentialId: std(made.id) });
const put = async (id, key, count) => {
  await cdp.send('WebAuthn.clearCredentials', { authenticatorId });
  await holdsKey(id, key, count);
};
await put(made.id, made.private_key, 1);
await enter();
await says(/the passkey has signed since, or there are two of it/);

// somebody else's key under its name
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64url');
await put(made.id, other, credential.signCount + 5);
await enter();
await says('No operator has this passkey.');

// the right one again, until it is taken out of the configuration
await put(made.id, made.private_key, credential.signCount + 10);
await enter();
await inside();
console.log(JSON.stringify({ revoke: 'bob' }));
await page.getByText('Your session has ended').waitFor();
await enter();
await says('No operator has this passkey.');
await end();
