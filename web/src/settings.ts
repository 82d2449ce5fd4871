// What this browser remembers, and the token, which only this tab does.
import { TIME_MODES, type TimeMode } from '../../clients/js/src/log-view/index.js';

export const THEMES = ['auto', 'dark', 'light'] as const;
export type Theme = (typeof THEMES)[number];

interface Settings { theme: Theme; timeMode: TimeMode; wrap: boolean }

const NAME = 'tailwater-view';
const TOKEN = 'tailwater-token';

function read(): Partial<Settings> {
  try {
    return Object(JSON.parse(localStorage.getItem(NAME) ?? '{}'));
  } catch {
    return {}; // storage is forbidden, or holds something else
  }
}

const stored = read();

export const settings: Settings = {
  theme: THEMES.find((t) => t === stored.theme) ?? 'auto',
  timeMode: TIME_MODES.find((t) => t === stored.timeMode) ?? 'local',
  wrap: stored.wrap === true,
};

export function keepSettings(): void {
  try {
    localStorage.setItem(NAME, JSON.stringify(settings));
  } catch {
    // they last as long as the page
  }
}

let token: string | null | undefined;

export function getToken(): string | null {
  try {
    token ??= sessionStorage.getItem(TOKEN);
  } catch {
    token ??= null;
  }
  return token;
}

export function setToken(value: string | null): void {
  token = value;
  try {
    value ? sessionStorage.setItem(TOKEN, value) : sessionStorage.removeItem(TOKEN);
  } catch {
    // it lasts as long as the page
  }
}
