/** Listeners by name. One that throws does not keep the others, or the stream, from going on. */
export class Emitter<Events extends { [K in keyof Events]: unknown[] }> {
  #listeners = new Map<keyof Events, Set<(...args: never) => void>>();

  /** Returns what takes the listener off again. */
  on<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): () => void {
    const set = this.#listeners.get(name) ?? new Set<(...args: never) => void>();
    this.#listeners.set(name, set.add(listener));
    return () => void set.delete(listener);
  }

  emit<K extends keyof Events>(name: K, ...args: Events[K]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        (listener as unknown as (...args: Events[K]) => void)(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // shown as what it is: an uncaught error of the listener
        });
      }
    }
  }
}
