/**
 * Where each row begins. Appending costs nothing but its rows; a row that turns out higher costs one addition for each row
 * below it (100,000 of them take about 0.1 ms), which keeps this an array instead of a tree.
 */
export class Tops {
  #tops = new Float64Array(1024); // [i]: where row i begins; [count]: where the last one ends
  #valid = 0; // tops up to and including this one are right
  count = 0;

  constructor(private heightOf: (index: number) => number) {}

  /** So many rows there are now, and those from `from` on may have other heights than before. */
  update(count: number, from: number): void {
    this.count = count;
    this.#valid = Math.max(0, Math.min(this.#valid, from, count));
    if (count + 1 > this.#tops.length) {
      const larger = new Float64Array(Math.max(count + 1, this.#tops.length * 2));
      larger.set(this.#tops);
      this.#tops = larger;
    }
    for (let i = this.#valid; i < count; i++) {
      this.#tops[i + 1] = (this.#tops[i] as number) + this.heightOf(i);
    }
    this.#valid = count;
  }

  top(index: number): number {
    return this.#tops[Math.max(0, Math.min(index, this.count))] as number;
  }

  get height(): number {
    return this.top(this.count);
  }

  /** The row at this height; the last one where there is none. */
  at(y: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#tops[middle] as number) <= y) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return Math.max(0, low);
  }
}
