import { linkJson } from "../prompt-scope";
import type { WrapMastraOptions } from "../types";
import { isMastraAgent, METHODS, type Method, ONLY_GENERATE } from "./mastra/methods";
import { traceCall } from "./mastra/run";

/** Asks a traced agent which agent it is around; `Symbol.for`, so that two copies of this package know each other's. */
const UNWRAP = Symbol.for("fallom.trace.unwrap");

/** Any function, called with whatever the user gave. */
type AnyFunction = (...args: unknown[]) => unknown;

/**
 * The same agent, traced for one session: a Proxy around it, whose methods run on the agent itself, so that private
 * members work and calls among them are not traced twice. The agent is never changed. An agent that is traced
 * already is unwrapped first: what wraps it last decides the session and the prompt.
 */
export function wrapMastraAgent<T>(session: object, agent: T, options?: WrapMastraOptions): T {
  if ((typeof agent !== "object" && typeof agent !== "function") || agent === null) {
    throw new TypeError("wrapMastraAgent takes an agent: an object with a `generate` method.");
  }
  const target = unwrapped(agent);
  if (typeof (target as { generate?: unknown }).generate !== "function") {
    throw new TypeError("wrapMastraAgent takes an agent: this object has no `generate` method.");
  }
  const prompt = options?.prompt;
  const link =
    prompt === undefined || prompt === null
      ? undefined
      : linkJson(prompt, "wrapMastraAgent's option 'prompt'");
  const methods = isMastraAgent(target) ? METHODS : ONLY_GENERATE;
  return new Proxy(target, new TracedAgent(session, methods, link)) as T;
}

function unwrapped(agent: object): object {
  const inner = (agent as { [UNWRAP]?: object })[UNWRAP];
  return inner ?? agent;
}

/** A method of an agent's, and what stands in for it. */
interface Bound {
  readonly property: PropertyKey;
  from: AnyFunction;
  to: AnyFunction;
  readonly next: Bound | undefined;
}

/** Reads from, and binds to, the agent itself. */
class TracedAgent implements ProxyHandler<object> {
  /** A method is the same function each time that it is read. They are few, and often one: a list is quickest. */
  private bound: Bound | undefined;

  constructor(
    private readonly session: object,
    private readonly methods: ReadonlyMap<PropertyKey, Method>,
    private readonly promptJson: string | undefined,
  ) {}

  get(target: object, property: PropertyKey): unknown {
    if (property === UNWRAP) return target;
    const value: unknown = Reflect.get(target, property, target);
    if (typeof value !== "function" || property === "constructor" || mustStay(target, property)) return value;
    return this.method(target, property, value as AnyFunction);
  }

  set(target: object, property: PropertyKey, value: unknown): boolean {
    return Reflect.set(target, property, value, target);
  }

  private method(target: object, property: PropertyKey, from: AnyFunction): AnyFunction {
    let known = this.bound;
    while (known !== undefined && known.property !== property) known = known.next;
    if (known?.from === from) return known.to;
    const method = this.methods.get(property);
    const { session, promptJson } = this;
    const to: AnyFunction = method
      ? (...args) => traceCall({ session, agent: target, method, original: from, promptJson }, args)
      : isClass(from)
        ? from
        : (from.bind(target) as AnyFunction);
    if (known === undefined) this.bound = { property, from, to, next: this.bound };
    else {
      known.from = from;
      known.to = to;
    }
    return to;
  }
}

/** A Proxy must give a non-configurable, read-only own property as it is. */
function mustStay(target: object, property: PropertyKey): boolean {
  const own = Reflect.getOwnPropertyDescriptor(target, property);
  return own !== undefined && !own.configurable && own.writable !== true;
}

/** Bound, a class would lose its static members. */
function isClass(value: AnyFunction): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}
