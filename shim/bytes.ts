import type { Name } from "./names";
import { copy, putAside, type Snapshot } from "./slab";

/**
 * How a span crosses to the core: as bytes that `src/span/reader.rs` reads on its own thread. Of the ways that were
 * measured (CONTRIBUTING.md, "The crossing") this costs the event loop least: texts are copied as they are, nothing is
 * escaped, and the walk that must look at each value anyway (`values.ts`) is the one that writes.
 *
 * An envelope is the length of its structure, its structure, and its long texts in the order in which the structure
 * refers to them. It lies in a buffer that is used again and again. What is written while another envelope is (a getter
 * of the user's may start a span) lies on top of that one, and is gone when it is done.
 */

/** What a byte of the structure stands for (`src/span/reader.rs`). */
const END = 0;
const NULL = 1;
const FALSE = 2;
const TRUE = 3;
/** 4 bytes. */
const INT = 4;
/** 8 bytes, a double: a whole number beyond `INT`. */
const LONG = 5;
/** A number as short ASCII text. */
const DECIMAL = 6;
/** A length of one byte, then so many bytes of UTF-8, or so many characters of two bytes each. */
const SHORT_UTF8 = 7;
const SHORT_UTF16 = 8;
/** The next of the long texts; the next one, which is JSON text. */
const TEXT = 9;
const JSON_TEXT = 10;
/** Up to the `END` that belongs to them. In an object, each value stands after its name. */
const ARRAY = 11;
const OBJECT = 12;
/** 8 bytes, a double: ms since 1970 of a date that is written as text. */
const DATE = 13;
/** The JSON text of the next value, as a text. */
const JSON_OF = 14;
/** One byte: which of the names that both sides know. */
const NAME = 15;
/** The next value is kept: it may come again. */
const KEEP = 16;
/** 4 bytes: which of the kept values comes again here, counted from 0 within the field of the envelope. */
const AGAIN = 17;

/** How a long text is written: its kind, 4 bytes of length, its bytes. */
const UTF8 = 1;
const UTF16 = 2;
const TEXT_HEAD = 5;

/** Texts of so many UTF-16 units at most are written here; for longer ones a call of Node's is cheaper. */
export const SHORT = 40;
/** From so many on, a call of Node's is cheaper here, too. */
const CALLED_FROM = 24;
/** After a long text that was not ASCII, so many others may be none, either. */
const DOUBTFUL = 64;
/** No step of the structure takes more bytes than this. */
const STEP = 2 + 3 * SHORT;
/** Bytes that say how long the structure is. */
const HEAD = 4;

const INITIAL_BYTES = 64 * 1024;
/** The largest buffer that is kept between envelopes. */
const MAX_KEPT_BYTES = 1024 * 1024;
/** After so many envelopes in a row that would fit into a quarter of it, the buffer is halved. */
const SMALL_RUN = 64;

let bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
/** Its length, which takes longer to ask for than most of what is written takes. */
let capacity = INITIAL_BYTES;
let at = 0;
let texts: string[] = [];
let smallInARow = 0;
/** So many of the next long texts are looked at before they are written: one before them was not ASCII. */
let doubtful = 0;

/**
 * Writes an envelope and hands it over: `send` is told the buffer and where in it the envelope stands, and must not keep
 * it. What `write` or `send` throws is thrown.
 */
export function sendEnvelope<A, B>(
  write: (one: A, other: B) => void,
  one: A,
  other: B,
  send: (bytes: Uint8Array, from: number, to: number) => void,
): void {
  const from = at;
  const outer = texts;
  texts = [];
  try {
    makeRoom(STEP);
    at += HEAD;
    write(one, other);
    putEnd();
    putUint32(at - from - HEAD, from);
    putLongTexts();
    send(bytes, from, at);
  } finally {
    const used = at;
    at = from;
    texts = outer;
    if (from === 0) keepOrShrink(used);
  }
}

/** What `write` writes, to be written later by `putSnapshot`; `undefined` if it says that there is nothing. */
export function snapshotOf<A>(write: (value: A) => boolean, value: A): Snapshot | undefined {
  const from = at;
  const outer = texts;
  texts = [];
  try {
    return write(value) ? putAside(bytes, from, at - from, texts) : undefined;
  } finally {
    at = from;
    texts = outer;
  }
}

export function putSnapshot({ slab, from, to, texts: own }: Snapshot): void {
  const length = to - from;
  makeRoom(length);
  copy(slab, from, length, bytes, at);
  at += length;
  for (let i = 0; i < own.length; i++) texts.push(own[i] as string);
}

/** Whether the value is an array or an object, and not what stands for another one. */
export function isContainer({ slab, from }: Snapshot): boolean {
  const tag = slab[from];
  return tag === ARRAY || tag === OBJECT;
}

/** The JSON text that the value crosses as; `undefined` if the core is to write it. */
export function jsonOf({ slab, from, texts: [text] }: Snapshot): string | undefined {
  return slab[from] === JSON_TEXT ? text : undefined;
}

/** Writes a value as a text: its JSON text, which the core makes. */
export function putJsonOf(snapshot: Snapshot): void {
  putByte(JSON_OF);
  putSnapshot(snapshot);
}

/** Says which field of the envelope the next value is. */
export function putField(field: number): void {
  putByte(field);
}

export function putNull(): void {
  putByte(NULL);
}

export function putBoolean(value: boolean): void {
  putByte(value ? TRUE : FALSE);
}

export function putArray(): void {
  putByte(ARRAY);
}

export function putObject(): void {
  putByte(OBJECT);
}

/** Ends an array or an object. */
export function putEnd(): void {
  putByte(END);
}

/** A number as JSON has it: what is not finite is null. */
export function putNumber(value: number): void {
  if ((value | 0) === value) putInt(value);
  else if (Number.isSafeInteger(value)) {
    putByte(LONG);
    at = bytes.writeDoubleLE(value, at);
  } else if (Number.isFinite(value)) {
    makeRoom(STEP);
    putAscii(DECIMAL, String(value));
  } else putNull();
}

/** A date, as its ISO text. */
export function putDate(ms: number): void {
  putByte(DATE);
  at = bytes.writeDoubleLE(ms, at);
}

/** A text, or the name of an object's field. Half of a surrogate pair becomes U+FFFD. */
export function putText(value: string): void {
  makeRoom(STEP);
  if (value.length > SHORT) {
    bytes[at++] = TEXT;
    texts.push(value);
  } else if (value.length >= CALLED_FROM) {
    const length = bytes.write(value, at + 2, "utf8");
    bytes[at] = SHORT_UTF8;
    bytes[at + 1] = length;
    at += 2 + length;
  } else if (!putAscii(SHORT_UTF8, value)) putUtf16(value);
}

/** As `putText`, of a name that both sides know. */
export function putName(name: Name): void {
  makeRoom(STEP);
  bytes[at] = NAME;
  bytes[at + 1] = name;
  at += 2;
}

/** Writes a member: a name, and a word for its value. */
export function putWordMember(name: Name, word: Name): void {
  putName(name);
  putName(word);
}

/** Writes a member: a name, and a number. */
export function putNumberMember(name: Name, value: number): void {
  putName(name);
  putNumber(value);
}

/** Keeps the value that is written next. Within one, nothing is kept and nothing comes again. */
export function putKeep(): void {
  putByte(KEEP);
}

/**
 * Writes once more a value that was kept, by its number. Each may come again once, so that an envelope tells at most twice
 * what it holds.
 */
export function putAgain(kept: number): void {
  makeRoom(STEP);
  bytes[at++] = AGAIN;
  putUint32(kept, at);
  at += 4;
}

/** JSON text, as the value that it stands for. */
export function putJson(text: string): void {
  putByte(JSON_TEXT);
  texts.push(text);
}

/** Where the next value will stand, for `rewind`. */
export function position(): number {
  return at;
}

export function textCount(): number {
  return texts.length;
}

/** Takes back what was written since. */
export function rewind(toPosition: number, toTextCount: number): void {
  at = toPosition;
  while (texts.length > toTextCount) texts.pop();
}

function putByte(byte: number): void {
  makeRoom(STEP);
  bytes[at++] = byte;
}

function putInt(value: number): void {
  makeRoom(STEP);
  bytes[at++] = INT;
  putUint32(value, at);
  at += 4;
}

function putUint32(value: number, to: number): void {
  const into = bytes;
  into[to] = value;
  into[to + 1] = value >> 8;
  into[to + 2] = value >> 16;
  into[to + 3] = value >> 24;
}

/** Whether `value` was written: it is, if it is ASCII. There must be room. */
function putAscii(tag: number, value: string): boolean {
  const { length } = value;
  const into = bytes;
  const start = at + 2;
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i);
    if (unit > 127) return false;
    into[start + i] = unit;
  }
  into[at] = tag;
  into[at + 1] = length;
  at = start + length;
  return true;
}

function putUtf16(value: string): void {
  const { length } = value;
  bytes[at++] = SHORT_UTF16;
  bytes[at++] = length;
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i);
    bytes[at++] = unit;
    bytes[at++] = unit >> 8;
  }
}

function putLongTexts(): void {
  let units = 0;
  for (let i = 0; i < texts.length; i++) units += (texts[i] as string).length + TEXT_HEAD;
  makeRoom(units);
  for (let i = 0; i < texts.length; i++) putLongText(texts[i] as string);
}

/** As UTF-8 where it seems to be ASCII, which is quickest for that, else as it is in memory. */
function putLongText(text: string): void {
  const ascii = doubtful === 0 || seemsAscii(text);
  let most = TEXT_HEAD + text.length * (ascii ? 3 : 2);
  // What is long is worth being measured.
  if (ascii && at + most > capacity) most = TEXT_HEAD + Buffer.byteLength(text);
  makeRoom(most);
  const length = bytes.write(text, at + TEXT_HEAD, ascii ? "utf8" : "utf16le");
  if (!ascii || length > text.length + (text.length >> 3)) doubtful = DOUBTFUL;
  else if (doubtful > 0) doubtful--;
  bytes[at] = ascii ? UTF8 : UTF16;
  putUint32(length, at + 1);
  at += TEXT_HEAD + length;
}

/** By a sample, which has to wait for memory: either way of writing is right for any text. */
function seemsAscii(text: string): boolean {
  const step = (text.length >> 2) + 1;
  for (let i = 0; i < text.length; i += step) if (text.charCodeAt(i) > 127) return false;
  return true;
}

function makeRoom(more: number): void {
  if (at + more > capacity) grow(at + more);
}

function grow(least: number): void {
  const before = bytes;
  renew(2 ** Math.ceil(Math.log2(least)));
  before.copy(bytes, 0, 0, at);
}

function keepOrShrink(used: number): void {
  smallInARow = used * 4 <= capacity ? smallInARow + 1 : 0;
  if (capacity > MAX_KEPT_BYTES) renew(INITIAL_BYTES);
  else if (smallInARow >= SMALL_RUN && capacity > INITIAL_BYTES) {
    renew(capacity / 2);
    smallInARow = 0;
  }
}

function renew(length: number): void {
  bytes = Buffer.allocUnsafeSlow(length);
  capacity = length;
}
