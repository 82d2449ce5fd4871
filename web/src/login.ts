// The field for a token, where the server asks for one.
import { byId, onClick } from './dom.js';
import { getToken, setToken } from './settings.js';

export class Login {
  constructor(private retry: () => void) {
    byId('login-form').addEventListener('submit', (e) => {
      e.preventDefault();
      this.#use(byId<HTMLInputElement>('token').value.trim() || null);
    });
    onClick('forget', () => this.#use(null));
  }

  get visible(): boolean {
    return !byId('login').hidden;
  }

  show(status: number, message: string): void {
    const why = status === 403 ? `This token may not read these channels (${message}).` : getToken() ? `It does not take this token (${message}).` : '';
    byId('login-why').textContent = why;
    byId('login-why').hidden = why === '';
    byId('forget').hidden = !getToken();
    if (!this.visible) {
      byId('login').hidden = false;
      byId('token').focus();
    }
  }

  hide(): void {
    byId('login').hidden = true;
  }

  #use(token: string | null): void {
    setToken(token);
    byId<HTMLInputElement>('token').value = '';
    this.hide();
    this.retry();
  }
}
