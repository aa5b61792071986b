/**
 * Structures that are written later, one behind the other on pages: of each, to make a text and to write that takes
 * several times as long as to copy its bytes twice.
 */

/** A value that was looked at before it is written. */
export interface Snapshot {
  /** Its part of the structure stands here, from `from` to before `to`. */
  readonly page: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly texts: readonly string[];
}

/** Small, since one snapshot holds its page for as long as many would. */
const PAGE_BYTES = 2048;
/** A longer structure that does not fit on the page has one of its own. */
const MAX_SHARED = 512;
/** Up to so many bytes are copied by a loop, which is quicker than a call there. */
const LOOPED = 128;

let page = new Uint8Array(0);
/** Where the next structure goes. */
let pageAt = PAGE_BYTES;

/** Keeps the structure that stands there, with its texts. */
export function putAside(
  bytes: Uint8Array,
  start: number,
  length: number,
  texts: readonly string[],
): Snapshot {
  if (pageAt + length > PAGE_BYTES) {
    if (length > MAX_SHARED)
      return { page: new Uint8Array(bytes.subarray(start, start + length)), from: 0, to: length, texts };
    page = new Uint8Array(PAGE_BYTES);
    pageAt = 0;
  }
  const from = pageAt;
  pageAt += length;
  copy(bytes, start, length, page, from);
  return { page, from, to: pageAt, texts };
}

/** Copies bytes into another array, which has room for them. */
export function copy(source: Uint8Array, from: number, length: number, target: Uint8Array, to: number): void {
  if (length > LOOPED) target.set(source.subarray(from, from + length), to);
  else for (let i = 0; i < length; i++) target[to + i] = source[from + i] as number;
}
