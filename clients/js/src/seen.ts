/** What was delivered lately: an event comes twice when connections overlap, or when a read is repeated. */
export class Seen {
  #keys = new Set<string>();

  constructor(private max = 16_384) {}

  /** False where the key was added before. */
  add(key: string): boolean {
    if (this.#keys.has(key)) {
      return false;
    }
    this.#keys.add(key);
    if (this.#keys.size > this.max) {
      this.#keys.delete(this.#keys.values().next().value as string);
    }
    return true;
  }
}
