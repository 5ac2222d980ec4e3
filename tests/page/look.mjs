// Looks at a page of a host in headless Chromium, and prints what is wrong with it, a line each.
//
//   node look.mjs PAGE [--axe FILE] [--find WORD] [--shots FOLDER] [--quick]
//
// --quick: only how long it takes to load and to search, and what the policy and the links are.
//
// Speaks the DevTools protocol over the browser's own pipe, so that it needs nothing beside Node and Chromium.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [page, ...rest] = process.argv.slice(2);
const option = (name) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined);
const address = pathToFileURL(resolve(page)).href;
const profile = mkdtempSync(join(tmpdir(), 'moxc-page-'));
const wrong = [];

const browser = spawn(
  process.env.CHROMIUM || 'chromium',
  [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars',
    `--user-data-dir=${profile}`, '--remote-debugging-pipe', 'about:blank',
  ],
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
);
const stop = () => {
  browser.kill('SIGKILL');
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  } catch {
    // The system clears its temporary folder.
  }
};
const late = setTimeout(() => {
  console.error('look.mjs: the browser takes too long');
  stop();
  process.exit(2);
}, 120_000);

let last = 0;
const waiting = new Map();
const listeners = [];
let pending = '';
browser.stdio[4].on('data', (data) => {
  pending += data;
  for (let end = pending.indexOf('\0'); end >= 0; end = pending.indexOf('\0')) {
    const message = JSON.parse(pending.slice(0, end));
    pending = pending.slice(end + 1);
    if (message.id) {
      const { done, fail } = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) fail(new Error(message.error.message));
      else done(message.result);
    } else {
      for (const listener of listeners) listener(message);
    }
  }
});
let session;
const send = (method, params = {}) =>
  new Promise((done, fail) => {
    last += 1;
    waiting.set(last, { done, fail });
    browser.stdio[3].write(`${JSON.stringify({ id: last, method, params, sessionId: session })}\0`);
  });
const once = (method) =>
  new Promise((done) => {
    const listener = (message) => {
      if (message.method === method) {
        listeners.splice(listeners.indexOf(listener), 1);
        done(message.params);
      }
    };
    listeners.push(listener);
  });
const evaluate = async (expression) => {
  const { result, exceptionDetails } = await send('Runtime.evaluate', {
    expression,
    returnByValue: true,
    awaitPromise: true,
  });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text);
  return result.value;
};
const load = async () => {
  const loaded = once('Page.loadEventFired');
  await send('Page.navigate', { url: address });
  await loaded;
};
const key = async (name, text) => {
  await send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', key: name, text, windowsVirtualKeyCode: codes[name] });
  await send('Input.dispatchKeyEvent', { type: 'keyUp', key: name, windowsVirtualKeyCode: codes[name] });
};
const codes = { ArrowDown: 40, ArrowUp: 38, Enter: 13, Escape: 27, Tab: 9 };
const pause = (time) => new Promise((done) => setTimeout(done, time));
const screen = (width, height) =>
  send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
const media = (...features) =>
  send('Emulation.setEmulatedMedia', {
    media: features.includes('print') ? 'print' : '',
    features: [
      { name: 'prefers-color-scheme', value: features.includes('dark') ? 'dark' : 'light' },
      { name: 'forced-colors', value: features.includes('forced') ? 'active' : 'none' },
    ],
  });

try {
  const { targetInfos } = await send('Target.getTargets');
  const target = targetInfos.find((info) => info.type === 'page');
  ({ sessionId: session } = await send('Target.attachToTarget', { targetId: target.targetId, flatten: true }));
  listeners.push(({ method, params }) => {
    if (method === 'Runtime.consoleAPICalled') wrong.push(`console.${params.type}: ${JSON.stringify(params.args.map((a) => a.value))}`);
    if (method === 'Runtime.exceptionThrown') wrong.push(`exception: ${params.exceptionDetails.exception?.description}`);
    if (method === 'Log.entryAdded') wrong.push(`log: ${params.entry.text}`);
    if (method === 'Network.requestWillBeSent' && params.request.url !== address && !params.request.url.startsWith('about:')) {
      wrong.push(`request: ${params.request.url}`);
    }
  });
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  await screen(1280, 900);
  await media();
  const began = Date.now();
  await load();
  const took = Date.now() - began;
  if (took > 20_000) wrong.push(`it takes ${took} ms to load`);

  // The policy is at work: a style and a script without a hash do nothing.
  const policed = await evaluate(`(() => {
    const own = document.createElement('style');
    own.textContent = 'body { outline: 7px solid red }';
    let told = false;
    document.addEventListener('securitypolicyviolation', () => { told = true; });
    document.head.append(own);
    const wide = getComputedStyle(document.body).outlineWidth;
    own.remove();
    return wide !== '7px';
  })()`);
  if (!policed) wrong.push('a style without a hash is taken');
  await pause(50);
  // What that has told is what was to be seen.
  for (let at = wrong.length - 1; at >= 0; at -= 1) {
    if (/^log: .*Content Security Policy/i.test(wrong[at])) wrong.splice(at, 1);
  }

  // Every link within the page has its target, and each name is there once.
  const broken = await evaluate(`[...document.querySelectorAll('a[href^="#"]')]
    .map((link) => decodeURIComponent(link.hash.slice(1))).filter((id) => !document.getElementById(id))`);
  for (const id of broken) wrong.push(`no place #${id}`);
  const twice = await evaluate(`(() => {
    const seen = new Set();
    return [...document.querySelectorAll('[id]')].map((e) => e.id).filter((id) => seen.has(id) || !seen.add(id));
  })()`);
  for (const id of twice) wrong.push(`#${id} is there twice`);

  // Search, by keyboard alone.
  const word = option('--find');
  if (word) {
    await key('/', '/');
    if ((await evaluate('document.activeElement.id')) !== 'find') wrong.push('/ does not lead to the search');
    const typed = Date.now();
    for (const letter of word) await key(letter, letter);
    let count = '';
    while (!count && Date.now() - typed < 20_000) {
      await pause(100);
      count = await evaluate('document.getElementById("count").textContent');
    }
    const search = Date.now() - typed;
    console.error(`searched in ${search} ms`);
    if (search > 10_000) wrong.push(`it takes ${search} ms to search`);
    if (!/^[1-9]/.test(count)) wrong.push(`nothing is found of ${word}: ${count}`);
    await key('ArrowDown');
    const chosen = await evaluate('document.activeElement.closest("#results") ? document.activeElement.textContent : ""');
    if (!chosen.toLowerCase().includes(word.toLowerCase())) wrong.push(`the arrow leads to ${JSON.stringify(chosen)}`);
    await key('Enter', '\r');
    await pause(100);
    const there = await evaluate(`(() => {
      const place = document.activeElement;
      const { top, bottom } = place.getBoundingClientRect();
      return { text: place.textContent, seen: top >= 0 && bottom <= innerHeight + 1 && place.checkVisibility() };
    })()`);
    if (!there.text.toLowerCase().includes(word.toLowerCase())) wrong.push(`Enter leads to ${JSON.stringify(there.text.slice(0, 80))}`);
    if (!there.seen) wrong.push('what was found is not in sight');
    await key('/', '/');
    await key('Escape');
    if (await evaluate('document.getElementById("find").value')) wrong.push('Escape does not clear the search');
  }

  const sections = await evaluate(`[...document.querySelectorAll('main > section')].map((s) => s.id)`);
  const axe = option('--axe') && readFileSync(option('--axe'), 'utf8');
  const folder = option('--shots');
  if (folder) mkdirSync(folder, { recursive: true });
  const quick = rest.includes('--quick');
  for (const look of quick ? [] : ['light', 'dark', 'forced']) {
    await media(look);
    if (axe) {
      await evaluate(`document.querySelectorAll('details').forEach((d) => { d.open = true; })`);
      await evaluate(`${axe}; undefined`);
      const found = await evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
        violations.flatMap((v) => v.nodes.slice(0, 3).map((n) => v.id + ': ' + n.target.join(' ') + ': ' + n.failureSummary.replace(/\\s+/g, ' '))))`);
      for (const one of found) wrong.push(`axe, ${look}: ${one}`);
    }
    if (folder) {
      await evaluate(`document.querySelectorAll('details').forEach((d) => { d.open = false; })`);
      // What is out of sight is not drawn otherwise.
      await evaluate(`document.querySelectorAll('article, .spec li').forEach((e) => { e.style.contentVisibility = 'visible'; })`);
      for (const id of sections) {
        const box = await evaluate(`(() => { const r = document.getElementById(${JSON.stringify(id)}).getBoundingClientRect();
          return { x: 0, y: r.top + scrollY, width: 1280, height: Math.min(r.height, 2400) }; })()`);
        const { data } = await send('Page.captureScreenshot', { clip: { ...box, scale: 1 }, captureBeyondViewport: true });
        writeFileSync(join(folder, `${id}-${look}.png`), Buffer.from(data, 'base64'));
      }
    }
  }

  // At 400 % a window of 1280 pixels has 320: nothing but tables and pictures may be wider, and they scroll by themselves.
  await media();
  await screen(320, 256);
  const wide = await evaluate('document.documentElement.scrollWidth');
  if (wide > 320) {
    const who = await evaluate(`[...document.querySelectorAll('main *, header *')].filter((e) =>
      !e.closest('.scroll') && e.getBoundingClientRect().right > 321).slice(0, 3).map((e) => e.localName + '.' + e.className + ' ' + e.textContent.slice(0, 40))`);
    wrong.push(`the page is ${wide} pixels wide in a window of 320: ${who.join(' | ')}`);
  }
  if (folder) {
    const { data } = await send('Page.captureScreenshot', { clip: { x: 0, y: 0, width: 320, height: 1800, scale: 1 }, captureBeyondViewport: true });
    writeFileSync(join(folder, 'narrow.png'), Buffer.from(data, 'base64'));
  }

  // On paper everything is unfolded.
  if (!quick) {
    await screen(1280, 900);
    await media('print');
    await evaluate(`document.querySelectorAll('details').forEach((d) => { d.open = false; })`);
    const folded = await evaluate(`[...document.querySelectorAll('details > :not(summary)')].filter((e) => !e.getBoundingClientRect().height).length`);
    if (folded) wrong.push(`${folded} parts are folded away on paper`);
    const { data: paper } = await send('Page.printToPDF', {});
    if (paper.length < 20_000) wrong.push('the printed page is all but empty');
    if (folder) writeFileSync(join(folder, 'paper.pdf'), Buffer.from(paper, 'base64'));
  }

  // Without scripts all is there but the search.
  await media();
  await send('Emulation.setScriptExecutionDisabled', { value: true });
  await load();
  const { root } = await send('DOM.getDocument', {});
  const box = async (selector) => {
    const { nodeId } = await send('DOM.querySelector', { nodeId: root.nodeId, selector });
    try {
      const { model } = await send('DOM.getBoxModel', { nodeId });
      return model.height > 0;
    } catch {
      return false;
    }
  };
  if (await box('.find')) wrong.push('the search shows without scripts');
  for (const id of sections) {
    if (!(await box(`#${id}`))) wrong.push(`#${id} does not show without scripts`);
  }
  console.error(`loaded in ${took} ms`);
} catch (error) {
  wrong.push(`the test broke off: ${error.stack}`);
}
clearTimeout(late);
stop();
for (const line of wrong) console.log(line);
process.exitCode = wrong.length ? 1 : 0;
