/**
 * Tells parallel work from nested work, where the async context cannot: in
 *
 *     await Promise.all(docs.map(async (doc) => { const span = session.span("rank"); … }))
 *
 * each call runs up to its first `await` in the turn of its caller, so the second finds the first one's span open.
 * But it comes from the very same call stack. The function that opened the first span has returned since then, or
 * looped, and either way the first span does not enclose the second.
 *
 * To look at the stack takes 2 µs and half a microsecond for each frame, more than all else about a span, and most spans
 * are alone in their turn. So where the spans of a name were always opened in one place of the source, in which no others
 * were, that place is taken for granted. It tells nested spans apart as well as the stack, since those are opened in
 * different places. If a second span of a turn is opened in the same place after all, they count as parallel, once: from
 * then on, the stacks of that name are looked at again.
 */

/** Frames compared; a recursion that opens a span at each level looks like a loop below this depth. */
const FRAMES = 50;
/** A name's place is taken for granted once it was the same so many times. */
const FIRST = 16;
/** Then it is looked at once in so many times: a prime, so as not to meet the same one of several in turn. */
const SAMPLE = 127;
/** Names that are remembered, and their length. */
const MOST_NAMES = 1000;
const LONGEST_NAME = 100;

/** Of V8's `CallSite`, what is asked for: users of this package may have no types of Node's. */
interface Frame {
  getFileName(): string | null | undefined;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
}

/** Where a span was opened. It may hold on to all objects on the stack, so it must not outlive the turn. */
export interface CallSite {
  /** What V8 makes of it when it is asked for. */
  stack?: unknown;
  /** Of V8's own; once they were asked for. */
  frames?: readonly Frame[];
  /** The place in the source; once it was asked for, or from the beginning, where it is taken for granted. */
  place?: string | undefined;
  /** Whether the place is all that is known. */
  readonly isAssumed: boolean;
  readonly name: NameOfSpans | undefined;
}

/** What is known of the spans of a name. */
interface NameOfSpans {
  opened: number;
  /** Given out where their place is taken for granted. */
  site: CallSite | undefined;
  /** There are several places, or spans of other names are opened there, too, or two were opened there in one turn. */
  varies: boolean;
}

const names = new Map<string, NameOfSpans>();
/** Whose spans are opened in a place. */
const places = new Map<string, NameOfSpans>();

type Opener = (...args: never[]) => unknown;

/**
 * Where a span of this name is opened, by a call of `opener`: here. `beside`: another was opened in this turn and is still
 * open, so that the site will be compared.
 */
export function siteOf(text: string, beside: boolean, opener: Opener): CallSite {
  const name = nameOf(text);
  if (name === undefined || name.varies) return captured(name, opener);
  const times = ++name.opened;
  if (name.site !== undefined && !beside && times > FIRST && times % SAMPLE !== 0) return name.site;
  const site = captured(name, opener);
  // A name that comes but once is not worth it.
  if (times > 1) learn(name, placeOf(site));
  return site;
}

/** Whether two spans of one turn were opened by the same place of the same calls. */
export function isSameSite(one: CallSite, other: CallSite): boolean {
  const place = placeOf(one);
  if (place === undefined || place !== placeOf(other)) return false;
  for (const { name } of [one, other]) if (name !== undefined) name.varies = true;
  if (one.isAssumed || other.isAssumed) return true;
  const [frames, others] = [framesOf(one), framesOf(other)];
  return frames.length === others.length && frames.every((frame, i) => placeIn(frame) === placeIn(others[i]));
}

function nameOf(text: string): NameOfSpans | undefined {
  const known = names.get(text);
  if (known !== undefined || text.length > LONGEST_NAME) return known;
  if (names.size >= MOST_NAMES) {
    names.clear();
    places.clear();
  }
  const name: NameOfSpans = { opened: 0, site: undefined, varies: false };
  // A copy: the name may be a piece of a long text, which it would hold.
  names.set(Buffer.from(text, "utf16le").toString("utf16le"), name);
  return name;
}

function learn(name: NameOfSpans, place: string | undefined): void {
  const owner = place === undefined ? undefined : (places.get(place) ?? name);
  if (place === undefined || owner !== name || (name.site !== undefined && name.site.place !== place)) {
    name.varies = true;
    if (owner !== undefined) owner.varies = true;
    return;
  }
  places.set(place, name);
  name.site ??= { place, isAssumed: true, name };
}

/** From the caller of `opener` on; it costs little before it is looked at. */
function captured(name: NameOfSpans | undefined, opener: Opener): CallSite {
  const site: CallSite = { isAssumed: false, name };
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = FRAMES;
    Error.captureStackTrace(site, opener);
    Error.stackTraceLimit = limit;
  } catch {
    // A frozen `Error`: no site is like another then.
  }
  return site;
}

function placeOf(site: CallSite): string | undefined {
  site.place ??= placeIn(framesOf(site)[0]);
  return site.place;
}

function framesOf(site: CallSite): readonly Frame[] {
  site.frames ??= prepared(site);
  return site.frames;
}

/** What `asTheyAre` was given last. */
let given: readonly Frame[] = [];

function prepared(site: CallSite): readonly Frame[] {
  const prepare = Error.prepareStackTrace;
  given = [];
  try {
    // Ours for a moment, so that no source maps are read and no code of the user's runs.
    Error.prepareStackTrace = asTheyAre;
    void site.stack;
    return given;
  } catch {
    return [];
  } finally {
    given = [];
    restore(prepare);
  }
}

function restore(prepare: typeof Error.prepareStackTrace): void {
  try {
    Error.prepareStackTrace = prepare;
  } catch {
    // Frozen: then it was never replaced.
  }
}

function asTheyAre(_error: Error, frames: readonly Frame[]): string {
  given = frames;
  return "";
}

function placeIn(frame: Frame | undefined): string | undefined {
  return frame && `${frame.getFileName()}:${frame.getLineNumber()}:${frame.getColumnNumber()}`;
}
