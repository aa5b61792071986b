// Random numbers that repeat: a test that fails, fails again.

/** mulberry32. @param {number} seed @returns {() => number} from 0 up to but not including 1 */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @param {() => number} random */
export const draws = (random) => ({
  /** From `least` to `most`, both included. */
  whole: (least, most) => least + Math.floor(random() * (most - least + 1)),
  /** @template T @param {T[]} list @returns {T} */
  pick: (list) => list[Math.floor(random() * list.length)],
  chance: (share) => random() < share,
});
