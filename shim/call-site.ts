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
 * are alone in their turn. So where the spans of a name are always opened in one place of the source, in which no others
 * are, that place stands for the stack, and only a second span of the turn looks at its own: as many of the spans that
 * were opened in its place enclose it as runs of the place's function are on the stack.
 */

/** Frames compared; a recursion that opens a span at each level looks like a loop below this depth. */
const FRAMES = 50;
/** A name's place is taken for granted once it was the same so many times. */
const FIRST = 16;
/** Then it is looked at once in so many times. */
const SAMPLE = 128;
/** Names that are remembered. */
const MOST_NAMES = 1000;

/** Where a span was opened. It may hold on to all objects on the stack, so it must not outlive the turn. */
export interface CallSite {
  /** `CallSite`s of V8, once they were asked for. */
  stack?: unknown;
  /** Instead of the stack, the place. */
  readonly known?: Place;
}

/** What is known of where the spans of a name are opened. */
interface Place {
  opened: number;
  /** The one place that was seen. */
  at: string | undefined;
  /** There are several, or spans of other names are opened there, too. */
  varies: boolean;
  /** Given out where the place is taken for granted. */
  readonly site: CallSite;
}

/** By the name of spans. */
const places = new Map<string, Place>();
/** By the place. */
const names = new Map<string, string>();

/**
 * Where a span of this name is opened, by a call of `opener`: here. `beside`: another was opened in this turn and is still
 * open, so that the site will be compared.
 */
export function siteOf(name: string, beside: boolean, opener: (...args: never[]) => unknown): CallSite {
  const place = placeOf(name);
  const times = ++place.opened;
  if (!beside && !place.varies && times > FIRST && times % SAMPLE !== 0) return place.site;
  const site = captured(opener);
  // A name that comes but once is not worth it.
  if (times > 1 && !place.varies) learn(name, place, placeIn(framesOf(site)[0]));
  return site;
}

/** Whether both were opened by the same place of the same calls; `undefined` where that is not known for sure. */
export function isSameSite(one: CallSite, other: CallSite): boolean | undefined {
  if (one.known !== undefined || other.known !== undefined) return undefined;
  const [frames, others] = [framesOf(one), framesOf(other)];
  const isSame = (frame: NodeJS.CallSite, i: number): boolean => placeIn(frame) === placeIn(others[i]);
  return frames.length > 0 && frames.length === others.length && frames.every(isSame);
}

/** Whether both were opened in the same place, by whatever calls. */
export function isSamePlace(one: CallSite, other: CallSite): boolean {
  const place = placeOfSite(one);
  return place !== undefined && place === placeOfSite(other);
}

/** How many runs of the function that opened `site` go on around the one that did. */
export function runsAround(site: CallSite): number {
  const [first, ...around] = framesOf(site);
  const opened = functionIn(first);
  return around.filter((frame) => functionIn(frame) === opened).length;
}

function placeOf(name: string): Place {
  const known = places.get(name);
  if (known !== undefined) return known;
  if (places.size >= MOST_NAMES) {
    places.clear();
    names.clear();
  }
  const site: { known?: Place } = {};
  const place: Place = { opened: 0, at: undefined, varies: false, site };
  site.known = place;
  places.set(name, place);
  return place;
}

function learn(name: string, place: Place, at: string | undefined): void {
  place.at ??= at;
  place.varies = at === undefined || place.at !== at;
  if (at === undefined) return;
  const other = names.get(at);
  if (other === undefined) names.set(at, name);
  else if (other !== name) {
    place.varies = true;
    placeOf(other).varies = true;
  }
}

function placeOfSite(site: CallSite): string | undefined {
  return site.known ? site.known.at : placeIn(framesOf(site)[0]);
}

/** From the caller of `opener` on; it costs little before it is looked at. */
function captured(opener: (...args: never[]) => unknown): CallSite {
  const site: CallSite = {};
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

function framesOf(site: CallSite): readonly NodeJS.CallSite[] {
  const prepare = Error.prepareStackTrace;
  try {
    // Ours for a moment, so that no source maps are read and no code of the user's runs.
    Error.prepareStackTrace = asTheyAre;
    return Array.isArray(site.stack) ? site.stack : [];
  } catch {
    return [];
  } finally {
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

function asTheyAre(_error: Error, frames: NodeJS.CallSite[]): NodeJS.CallSite[] {
  return frames;
}

function placeIn(frame: NodeJS.CallSite | undefined): string | undefined {
  return frame && `${frame.getFileName()}:${frame.getLineNumber()}:${frame.getColumnNumber()}`;
}

/** By where it begins: an arrow has no name. */
function functionIn(frame: NodeJS.CallSite | undefined): string | undefined {
  if (frame === undefined) return undefined;
  const begin = `${frame.getEnclosingLineNumber()}:${frame.getEnclosingColumnNumber()}`;
  return `${frame.getFileName()}:${begin}:${frame.getFunctionName()}`;
}
