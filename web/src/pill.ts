// The pill in the corner: how the connection is, how fast lines come and how late; and what it says in words.
import { announce, byId, count } from './dom.js';
import type { Session } from './session.js';
import type { LogView } from '../../clients/js/src/log-view/index.js';

type State = 'connecting' | 'live' | 'paused' | 'past' | 'away' | 'reconnecting' | 'offline' | 'unauthorized' | 'stopped';

function reconnecting(session: Session): [State, string] {
  const at = session.subscription?.detail.nextRetryAt;
  const seconds = at === undefined ? 0 : Math.ceil((at - Date.now()) / 1000);
  return ['reconnecting', seconds > 0 ? `Reconnecting in ${seconds} s` : 'Reconnecting'];
}

export function stateOf(session: Session, view: LogView): [State, string] {
  const s = session.subscription;
  if (session.past) {
    return ['past', 'Past'];
  }
  if (!s || s.status === 'idle' || s.status === 'connecting') {
    return ['connecting', 'Connecting'];
  }
  if (s.status === 'unauthorized') {
    return ['unauthorized', 'Not authorized'];
  }
  if (s.status === 'closed') {
    return ['stopped', 'Stopped'];
  }
  if (s.status === 'reconnecting') {
    return navigator.onLine ? reconnecting(session) : ['offline', 'Offline'];
  }
  if (session.away.size) {
    return ['away', 'MongoDB is away'];
  }
  return view.following ? ['live', 'Live'] : ['paused', 'Paused'];
}

const lag = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
const rate = (perS: number): string => (perS > 0 && perS < 10 ? perS.toFixed(1) : count(Math.round(perS)));

const FIGURES_MS = 250; // fast enough to read

let said = '';
let figures = '';
let figuresAt = 0;

function readFigures(session: Session): string {
  if (Date.now() - figuresAt > FIGURES_MS) {
    const now = session.meter.read();
    figuresAt = Date.now();
    figures = [`${rate(now.rate)}/s`, now.lagMs !== undefined && `lag ${lag(now.lagMs)}`].filter(Boolean).join(' · ');
  }
  return figures;
}

export function showPill(session: Session, view: LogView): void {
  const [state, text] = stateOf(session, view);
  const moving = state === 'live' || state === 'paused';
  byId('pill').dataset.state = state;
  byId('pill-text').textContent = text;
  byId('pill-rate').textContent = moving ? readFigures(session) : '';
  byId('pill').title = session.subscription?.detail.message ?? '';
  byId('retry').hidden = state !== 'reconnecting' && state !== 'offline' && state !== 'stopped';
  if (state !== said) {
    said = state;
    announce(text);
  }
}
