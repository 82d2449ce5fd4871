/** An element of index.html, which is of this kind. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`index.html has no #${id}`);
  }
  return found as T;
}

export function make<K extends keyof HTMLElementTagNameMap>(name: K, text = '', className = ''): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = className;
  return element;
}

export function makeButton(text: string, run: () => void): HTMLButtonElement {
  const button = make('button', text);
  button.type = 'button';
  button.addEventListener('click', run);
  return button;
}

export const onClick = (id: string, run: () => void): void => byId(id).addEventListener('click', run);

/** Also where the clipboard is not to be had, as on pages of other machines without TLS. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make('textarea', text, 'sr');
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

let announced = 0;
let waiting: ReturnType<typeof setTimeout> | undefined;

/** Says it to who cannot see it, at most every few seconds; of several only the last. */
export function announce(text: string): void {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    announced = Date.now();
    byId('announce').textContent = text;
  }, Math.max(100, announced + 5000 - Date.now()));
}

export function saveFile(name: string, type: string, text: string): void {
  const link = make('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const count = (n: number): string => n.toLocaleString('en');

/** Where there is little room: 12.3K. */
export const shortCount = (n: number): string => (n < 10_000 ? String(n) : n.toLocaleString('en', { notation: 'compact', maximumFractionDigits: 1 }));
