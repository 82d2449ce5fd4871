// The page: makes the parts, and lets each know what concerns it. Content of logs is only ever set as text.
import { documentOf, UnauthorizedError } from '../../clients/js/src/index.js';
import { LogView, TIME_MODES, type Line } from '../../clients/js/src/log-view/index.js';
import { announce, byId, copyText, count, make, makeButton, onClick, saveFile } from './dom.js';
import { Jump, RANGES } from './jump.js';
import { bindKeys } from './keys.js';
import { Levels } from './levels.js';
import { Login } from './login.js';
import { Palette } from './palette.js';
import { showPill } from './pill.js';
import { addressOf, lineHash, readPlace } from './place.js';
import { Search } from './search.js';
import { Session } from './session.js';
import { keepSettings, settings, THEMES } from './settings.js';
import { showSnippets } from './snippets.js';

const TIME_LABELS = { local: 'Local', utc: 'UTC', relative: 'Relative', off: 'No time' };
const THEME_LABELS = { auto: 'Auto', dark: 'Dark', light: 'Light' };
const base = location.pathname.replace(/\/[^/]*$/, '');
const place = readPlace();
let problem = ''; // of the last request that failed

// --- parts ------------------------------------------------------------------------------------------

const view = new LogView(byId('view'), {
  label: 'Log lines',
  wrap: settings.wrap,
  timeMode: settings.timeMode,
  actions: [
    { label: 'Copy line', run: copyLine },
    { label: 'Copy JSON', run: (line) => copy('JSON', JSON.stringify(line.document, null, 2)) },
    { label: 'Copy link', run: copyLink, when: (line) => line.id !== '' },
    { label: 'Load whole', run: (line) => void loadWhole(line), when: (line) => line.truncated },
  ],
  onChange: showList,
  onOlder: () => void session.loadOlder(),
  onEnd: () => session.loadNewer(),
});
const session = new Session(base, view, { changed: showFrame, failed: onFailed }, place.filter);
const levels = new Levels(applyFilter);
const search = new Search(view, applyFilter);
const palette = new Palette(() => session.seen, watch, applyFilter);
const login = new Login(() => start());
const jump = new Jump(jumpTo, watchSince, () => view.lines.at(-1)?.time ?? NaN);

// --- going places -----------------------------------------------------------------------------------

function watch(channels: string): void {
  goTo(channels);
  session.live(channels);
}

function watchSince(since: string | undefined): void {
  goTo(session.channels);
  session.live(session.channels, since);
}

function goTo(channels: string, hash = ''): void {
  problem = '';
  byId<HTMLInputElement>('channels').value = channels;
  history.replaceState(null, '', addressOf(channels, hash));
  showSnippets(channels, location.origin + base);
}

function jumpTo(ms: number): void {
  goTo(session.channels, `#at=${new Date(ms).toISOString()}`);
  session.at(session.channels, ms).catch(onFailed);
}

function start(): void {
  const { channels, line, at, since } = readPlace();
  problem = '';
  showSnippets(channels, location.origin + base);
  byId<HTMLInputElement>('channels').value = channels;
  if (line) {
    session.around(channels, line.channel, line.id).catch(onFailed);
  } else if (at !== undefined) {
    session.at(channels, at).catch(onFailed);
  } else {
    session.live(channels, since);
  }
}

function onFailed(error: Error): void {
  if (error instanceof UnauthorizedError) {
    login.show(error.status, error.message);
  }
  problem = error.message;
  showFrame();
}

function togglePause(): void {
  if (session.past) {
    watch(session.channels);
  } else {
    view.following ? view.pause() : view.follow();
  }
}

// --- lines ------------------------------------------------------------------------------------------

function applyFilter(): void {
  const hidesLines = levels.hidden.size > 0 || palette.hidden.size > 0 || (search.only && search.active);
  view.setFilter(hidesLines ? isShown : undefined);
}

/** Gaps are always shown. */
function isShown(line: Line): boolean {
  return line.kind !== 'log' ||
    (!levels.hidden.has(line.level) && !palette.hidden.has(line.channel) && (!search.only || search.matches(line)));
}

function copy(what: string, text: string): void {
  void copyText(text).then(() => announce(`${what} copied`));
}

function lineText(line: Line): string {
  const time = Number.isFinite(line.time) ? new Date(line.time).toISOString() : '';
  return [time, line.level.toUpperCase(), line.channel, line.message, line.fields].filter(Boolean).join(' ');
}

function copyLine(line: Line | undefined): void {
  line && copy('Line', lineText(line));
}

function copyLink(line: Line | undefined): void {
  line?.id && copy('Link', addressOf(session.channels, lineHash(line.channel, line.id)));
}

async function loadWhole(line: Line): Promise<void> {
  try {
    line.document = documentOf(await session.client.event(line.channel, line.id));
    line.truncated = false;
    view.refresh(line);
  } catch (error) {
    onFailed(error as Error);
  }
}

function save(): void {
  const lines = view.rows.map((line) => (line.kind === 'log' ? { channel: line.channel, ...Object(line.document) } : { [line.kind]: line.message }));
  saveFile(`tailwater-${new Date().toISOString().slice(0, 19).replace(/:/g, '')}.ndjson`, 'application/x-ndjson', lines.map((l) => `${JSON.stringify(l)}\n`).join(''));
}

const isBad = (line: Line): boolean => line.kind === 'log' && (line.level === 'error' || line.level === 'fatal');

// --- how it looks -----------------------------------------------------------------------------------

function applyTheme(): void {
  document.documentElement.dataset.theme = settings.theme;
  byId('theme').textContent = THEME_LABELS[settings.theme];
}

function nextOf<T>(list: readonly T[], now: T): T {
  return list[(list.indexOf(now) + 1) % list.length] as T;
}

function cycleTheme(): void {
  settings.theme = nextOf(THEMES, settings.theme);
  keepSettings();
  applyTheme();
}

function cycleTime(): void {
  settings.timeMode = view.timeMode = nextOf(TIME_MODES, view.timeMode);
  keepSettings();
  showSettings();
}

function toggleWrap(): void {
  settings.wrap = view.wrap = !view.wrap;
  keepSettings();
  showSettings();
}

function showSettings(): void {
  byId('wrap').setAttribute('aria-pressed', String(view.wrap));
  byId('time-mode').textContent = TIME_LABELS[view.timeMode];
}

/** After each frame in which the list changed. */
function showList(): void {
  levels.showCounts(view);
  search.showCount();
  const total = view.lines.length;
  byId('held').textContent = view.rows.length === total ? `${count(total)} lines` : `${count(view.rows.length)} of ${count(total)} lines`;
  const follow = byId('follow');
  follow.hidden = view.following || session.past;
  follow.textContent = view.waiting ? `↓ ${count(view.waiting)} new line${view.waiting === 1 ? '' : 's'}` : '↓ Follow';
  byId('pause').textContent = session.past ? 'Go live' : view.following ? 'Pause' : 'Follow';
  showFrame();
}

function showFrame(): void {
  const s = session.subscription;
  showPill(session, view);
  s?.status === 'unauthorized' ? login.show(s.detail.httpStatus ?? 401, s.detail.message ?? '') : s?.status === 'connected' && login.hide();
  byId('empty').hidden = view.lines.length > 0 || login.visible || session.past || s?.status !== 'connected';
  byId('view').inert = !byId('empty').hidden || login.visible;
  byId('source').textContent = session.open ? 'Open mode: everyone on this machine may read' : '';
  showBanner();
  showLead();
}

function showBanner(): void {
  const s = session.subscription;
  const closed = s?.status === 'closed' ? s.detail.message : '';
  const text = closed || problem || (session.past && 'You are looking at the past; new lines are not shown.') || '';
  byId('banner').hidden = text === '' || login.visible;
  byId('banner').dataset.kind = closed || problem ? 'bad' : '';
  byId('banner-text').textContent = text;
  byId('banner-button').textContent = session.past ? 'Back to live' : 'Dismiss';
  byId('banner-button').hidden = !session.past && !problem;
}

function showLead(): void {
  const texts = {
    idle: '', failed: '', loading: 'Loading older lines…', beginning: 'This is the oldest line that is stored.',
    full: `${count(view.lines.length)} lines are held; for older ones clear some, or jump to a time.`,
  };
  const key = view.lines.length ? session.older : '';
  if (view.lead.dataset.state !== key) {
    view.lead.dataset.state = key;
    view.lead.replaceChildren(key === 'idle' || key === 'failed'
      ? makeButton(key === 'idle' ? 'Load older lines' : 'Try again to load older lines', () => void session.loadOlder())
      : make('span', texts[session.older]));
  }
}

// --- wiring -----------------------------------------------------------------------------------------

const openHelp = (): void => byId<HTMLDialogElement>('help').showModal();

bindKeys([
  { keys: [' '], does: 'pause, follow', run: togglePause },
  { keys: ['f', 'G', 'End'], does: 'follow the newest line', run: () => (session.past ? watch(session.channels) : view.follow()) },
  { keys: ['g', 'Home'], does: 'to the oldest line; loads what came before', run: () => view.toTop() },
  { keys: ['j', 'ArrowDown'], does: 'next line', run: () => view.move(1) },
  { keys: ['k', 'ArrowUp'], does: 'previous line', run: () => view.move(-1) },
  { keys: ['Enter'], does: 'open or close a line', run: () => view.toggle() },
  { keys: ['/'], does: 'search', run: () => byId<HTMLInputElement>('search').select() },
  { keys: ['n', 'N'], does: 'next, previous match', run: (key) => search.step(key === 'n' ? 1 : -1) },
  { keys: ['e', 'E'], does: 'next, previous error', run: (key) => view.find(isBad, key === 'e' ? 1 : -1) },
  { keys: ['l'], does: 'levels: all, warnings, errors', run: () => levels.cycle() },
  { keys: ['w'], does: 'wrap long lines', run: toggleWrap },
  { keys: ['t'], does: 'timestamps: local, UTC, relative, off', run: cycleTime },
  { keys: ['c', 'y'], does: 'copy the line, a link to it', run: (key) => (key === 'c' ? copyLine : copyLink)(view.selected) },
  { keys: RANGES.map((_, i) => String(i)), does: `live with the last ${RANGES.slice(1).map((r) => r.label).join(', ')}`, run: (key) => watchSince(RANGES[Number(key)]?.since) },
  { keys: ['6'], does: 'jump to a time', run: () => jump.open() },
  { keys: ['x'], does: 'clear', run: () => session.clear() },
  { keys: ['d'], does: 'save what is shown', run: save },
  { keys: ['?'], does: 'this list', run: openHelp },
], () => palette.open());

byId('watch').addEventListener('submit', (e) => {
  e.preventDefault();
  watch(byId<HTMLInputElement>('channels').value.trim() || 'logs:*');
});
onClick('pause', togglePause);
onClick('follow', () => view.follow());
onClick('retry', () => (session.subscription?.status === 'closed' ? start() : session.subscription?.reconnect()));
onClick('banner-button', () => (session.past ? watch(session.channels) : ((problem = ''), showFrame())));
onClick('open-palette', () => palette.open());
onClick('open-help', openHelp);
onClick('jump', () => jump.open());
onClick('time-mode', cycleTime);
onClick('wrap', toggleWrap);
onClick('save', save);
onClick('clear', () => session.clear());
onClick('theme', cycleTheme);
addEventListener('offline', showFrame);
addEventListener('online', showFrame);
addEventListener('hashchange', start);

let announcedWaiting = 0;
setInterval(() => {
  showPill(session, view);
  view.timeMode === 'relative' && (view.timeMode = 'relative');
  if (view.waiting > 0 && Date.now() - announcedWaiting > 10_000) {
    announcedWaiting = Date.now();
    announce(`Paused, ${count(view.waiting)} new lines`);
  }
}, 1000);

applyTheme();
showSettings();
place.search && search.set(place.search);
start();

// For tests, and for who looks with the developer tools.
Object.assign(window, { tailwater: { view, session } });
