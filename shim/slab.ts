/**
 * Structures that are written later, one behind the other in memory that they share: to make a text of each, and to write
 * that, takes longer than to copy its bytes twice.
 */

/** A value that was looked at before it is written. */
export interface Snapshot {
  /** Its part of the structure stands here, from `from` to before `to`. */
  readonly slab: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly texts: readonly string[];
}

/** Few, since one snapshot holds its slab for as long as many would. */
const SLAB_BYTES = 2048;
/** A longer structure for which there is no room has a slab of its own. */
const MAX_SHARED = 512;
/** Up to so many bytes are copied by a loop, which is quicker than a call there. */
const LOOPED = 128;

let slab = new Uint8Array(0);
/** Where the next structure goes. */
let slabAt = SLAB_BYTES;

/** Keeps the structure that stands there, with its texts. */
export function putAside(
  bytes: Uint8Array,
  start: number,
  length: number,
  texts: readonly string[],
): Snapshot {
  if (slabAt + length > SLAB_BYTES) {
    if (length > MAX_SHARED)
      return { slab: new Uint8Array(bytes.subarray(start, start + length)), from: 0, to: length, texts };
    slab = new Uint8Array(SLAB_BYTES);
    slabAt = 0;
  }
  const from = slabAt;
  slabAt += length;
  copy(bytes, start, length, slab, from);
  return { slab, from, to: slabAt, texts };
}

/** Copies bytes into another array, which has room for them. */
export function copy(source: Uint8Array, from: number, length: number, target: Uint8Array, to: number): void {
  if (length > LOOPED) target.set(source.subarray(from, from + length), to);
  else for (let i = 0; i < length; i++) target[to + i] = source[from + i] as number;
}
