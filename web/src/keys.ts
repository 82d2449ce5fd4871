// The keyboard map. Letters count only outside of fields and without Ctrl, Alt or Meta.
import { byId, make } from './dom.js';

export interface Binding { keys: string[]; does: string; run(key: string): void }

const SHOWN: Record<string, string> = { ' ': 'Space', ArrowUp: '↑', ArrowDown: '↓' };

function isTyping(target: EventTarget | null): boolean {
  const e = target as HTMLElement | null;
  return !!e?.closest?.('input, textarea, select, dialog');
}

/** Space and Enter press the button that has the focus. */
const isPress = (e: KeyboardEvent): boolean => (e.key === ' ' || e.key === 'Enter') && !!(e.target as HTMLElement).closest?.('button, a, summary');

export function bindKeys(bindings: Binding[], openPalette: () => void): void {
  const byKey = new Map(bindings.flatMap((b) => b.keys.map((key) => [key, b] as const)));
  document.addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k') {
      e.preventDefault();
      openPalette();
    } else if (!e.ctrlKey && !e.metaKey && !e.altKey && !isTyping(e.target) && !isPress(e)) {
      const binding = byKey.get(e.key);
      if (binding) {
        e.preventDefault();
        binding.run(e.key);
      }
    }
  });
  showKeys([...bindings, { keys: ['Ctrl K'], does: 'channels: find, watch, hide', run: openPalette }]);
}

function showKeys(bindings: Binding[]): void {
  byId('keys').replaceChildren(...bindings.flatMap((b) => {
    const dt = make('dt');
    const keys = b.keys.length > 4 ? [`${b.keys[0]} – ${b.keys.at(-1)}`] : b.keys;
    dt.append(...keys.map((key) => make('kbd', SHOWN[key] ?? key)));
    return [dt, make('dd', b.does)];
  }));
}
