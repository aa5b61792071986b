import { AsyncResource } from "node:async_hooks";
import { setTimeout } from "node:timers";
import { now } from "../../clock";
import { current } from "../../context";
import { describeError } from "../../error";
import { identityOf } from "../../identity";
import { abandonWith } from "../../open-spans";
import { snapshot } from "../../snapshot";
import { type Attributes, type OpenSpan, type SpanEnd, startSpan } from "../../span";
import { instructionTexts, messageTexts } from "./link";
import type { Method } from "./methods";
import { tracedArguments } from "./options";
import {
  modelsOf,
  pickMetadata,
  pickResponse,
  pickUsage,
  providerOf,
  sumUsage,
  toolPart,
  type Usage,
  usageOf,
} from "./pick";
import { type Fields, field, isObject, isPromise, list, quietly, text } from "./read";
import { recallSuspended, rememberSuspended } from "./suspended";
import { type StepTime, timingsOf } from "./timings";
import { ToolSpans } from "./tools";

/** A call of a traced method. */
export interface Call {
  session: object;
  agent: object;
  method: Method;
  original: (...args: unknown[]) => unknown;
}

/** Chunks that are a model's first sign of life (Mastra's names, both lines). */
const FIRST_TOKENS = new Set(["text-delta", "reasoning-delta", "tool-call", "tool-call-input-streaming-start"]);

/**
 * A suspended stream tells nobody but its status, which may be read: when a call of a tool was asked for and does not
 * start, it is looked at after these waits, in ms.
 */
const LOOKS_MS = [20, 100, 500, 2000, 10_000];

/** Mastra 0.24 says so when `generate` ends without an answer because a tool waits for approval. */
const NO_ANSWER = /^promise '\w+' was not resolved or rejected/;

/** Runs that are open, by span and by Mastra's id of them. */
const bySpan = new Map<string, AgentRun>();
const byRunId = new Map<string, AgentRun>();

/** Timers in a scope of their own: one made in a request's would hold that request's async state. */
const scope = new AsyncResource("FallomAgentRun", { requireManualDestroy: true });

/** Runs the method, traced. What it returns or throws is what the caller gets, itself and not a copy. */
export function traceCall(call: Call, args: unknown[]): unknown {
  const bare = (args: unknown[]): unknown => Reflect.apply(call.original, call.agent, args);
  const run = quietly(() => new AgentRun(call, args));
  if (run === undefined || !run.span.recording) return bare(args);
  return run.span.run(() => {
    const ready = quietly(() => tracedArguments(run, args)) ?? args;
    return isPromise(ready) ? run.watch(() => ready.then(bare, () => bare(args))) : run.watch(() => bare(ready));
  });
}

/** One run of an agent, from its call to its end. */
export class AgentRun {
  readonly span: OpenSpan;
  readonly tools: ToolSpans;
  private readonly steps: StepTime[] = [];
  private readonly parent: AgentRun | undefined;
  /** The tool call of the parent that this run is, if it could be told only so. */
  private readonly asTool: OpenSpan | undefined;
  /** Texts of the call that may be a rendered prompt, where the core cannot read them from the request. */
  private texts: string[] = [];
  private readonly instructions: unknown;
  private readonly signal: unknown;
  private runId: string | undefined;
  private firstTokenMs: number | undefined;
  private askedModel: string | undefined;
  private error: unknown;
  private stream: WeakRef<object> | undefined;
  private looking = false;
  /** What sub-agents used, for a network, whose own usage includes it. */
  private childUsage: Usage | undefined;

  constructor(
    readonly call: Call,
    args: unknown[],
  ) {
    const { session, agent, method } = call;
    const options = args[method.optionsAt];
    const name = text(field(agent, "name")) ?? text(field(agent, "id")) ?? "agent";
    this.runId = text(field(options, "runId"));
    const before = method.resumes ? this.goOn() : undefined;
    const outer = before ? undefined : current(identityOf(session).context.sessionId);
    this.parent = outer && bySpan.get(outer.spanId);
    this.asTool = this.parent?.tools.adopt(messageTexts(args[0])[0]);
    this.span = startSpan({
      session,
      name: `agent.${name}.${method.name}`,
      kind: "agent",
      parent: before ? { traceId: before.traceId, spanId: before.parentSpanId } : this.asTool?.context,
      streaming: method.gives !== "output",
    });
    this.tools = new ToolSpans(session, this.span, before?.seen ?? []);
    this.instructions = field(options, "instructions");
    this.signal = field(options, "abortSignal");
    if (!this.span.recording) return;
    bySpan.set(this.span.spanId, this);
    if (this.runId !== undefined) byRunId.set(this.runId, this);
    const attributes = { "fallom.method": `agent.${method.name}`, "fallom.agent_name": name };
    this.span.known = { attributes, requestJson: this.request(args) };
    if (this.span.link && !this.span.capture) this.texts = messageTexts(args[0]);
    this.askedModel = text(field(field(agent, "model"), "modelId")) ?? text(field(agent, "model"));
    this.span.partial = () => this.soFar();
  }

  /** Calls the method and sees how it ends. */
  watch(call: () => unknown): unknown {
    try {
      const outcome = call();
      if (isPromise(outcome)) {
        outcome.then(
          (value) => void quietly(() => this.returned(value)),
          (error) => void quietly(() => this.failed(error)),
        );
      } else {
        quietly(() => this.returned(outcome));
      }
      return outcome;
    } catch (error) {
      quietly(() => this.failed(error));
      throw error;
    }
  }

  /** Callbacks for the call's options. They, and nothing else, hold on to what ends a stream's span. */
  callbacks(): Record<string, (argument: unknown) => void> {
    const { gives } = this.call.method;
    const held: { run: AgentRun } = { run: this };
    const onStepFinish = (step: unknown): void => held.run.stepEnded(step);
    const onChunk = (chunk: unknown): void => held.run.chunk(chunk);
    // With tool hooks, the chunks of a `generate` tell nothing that its result does not.
    if (gives === "output") return "getConfiguredToolHooks" in this.call.agent ? { onStepFinish } : { onStepFinish, onChunk };
    abandonWith(held, this.span);
    return {
      onStepFinish,
      onChunk,
      onFinish: (result) => held.run.succeeded(result),
      onError: (event) => held.run.errored(field(event, "error") ?? event),
      onAbort: (event) => held.run.aborted(event),
    };
  }

  /** After a call of a tool was asked for and does not start: is the stream suspended? */
  lookForSuspension(): void {
    if (this.looking || this.call.method.gives !== "stream") return;
    this.looking = true;
    scope.runInAsyncScope(() => this.lookLater(0));
  }

  private lookLater(at: number): void {
    const wait = LOOKS_MS[at];
    if (wait === undefined || !bySpan.has(this.span.spanId)) {
      this.looking = false;
      return;
    }
    setTimeout(() => {
      if (field(this.stream?.deref(), "status") === "suspended") quietly(() => this.suspended());
      else this.lookLater(at + 1);
    }, wait).unref();
  }

  /** The run that this call resumes, its span ended if nobody has noticed yet. */
  private goOn() {
    const open = this.runId === undefined ? undefined : byRunId.get(this.runId);
    if (open?.call.method.gives === "stream") quietly(() => open.suspended());
    return recallSuspended(this.runId);
  }

  /** The messages as the caller gave them, as text: taken now, since Mastra may write into them. */
  private request([input]: unknown[]): string | undefined {
    const { method } = this.call;
    if (!this.span.capture || (method.resumes && method.optionsAt === 0)) return undefined;
    if (method.resumes) return snapshot(input);
    if (typeof input === "string") return snapshot([{ role: "user", content: input }]);
    return snapshot(Array.isArray(input) ? input : input === undefined ? [] : [input]);
  }

  private returned(value: unknown): void {
    const { gives } = this.call.method;
    if (gives === "output") return this.answered(value);
    if (isObject(value)) this.stream = new WeakRef(value);
    this.named(field(value, "runId"));
    if (gives === "network") this.watchNetwork(value);
  }

  /** A `generate` has resolved. Suspended and aborted runs do so, too. */
  private answered(result: unknown): void {
    this.named(field(result, "runId"));
    const finishReason = text(field(result, "finishReason"));
    if (finishReason === "suspended") return this.suspended(result);
    // 0.24 gives no reason for an aborted run.
    const cut = finishReason === undefined && field(this.signal, "aborted") === true;
    this.succeeded(result, cut && isObject(result) ? "aborted" : undefined);
  }

  private chunk(chunk: unknown): void {
    this.named(field(chunk, "runId"));
    const type = field(chunk, "type") ?? field(field(chunk, "chunk"), "type");
    if (this.firstTokenMs === undefined && FIRST_TOKENS.has(String(type))) this.firstTokenMs = now();
    if (type !== "tool-call") return;
    const part = toolPart(chunk);
    if (part !== undefined) this.tools.announce(part);
    this.lookForSuspension();
  }

  private stepEnded(step: unknown): void {
    this.named(field(step, "runId"));
    this.askedModel ??= text(field(field(step, "model"), "modelId"));
    const stepStart = this.steps.at(-1)?.endMs ?? this.span.startMs;
    const ended = { step, endMs: now() };
    this.steps.push(ended);
    this.tools.settle(ended, stepStart);
    // The end of a stream that failed: `onFinish` will not come, and on 0.24 not always `onError`.
    if (field(step, "finishReason") === "error" && this.call.method.gives === "stream") {
      this.failed(this.error ?? new Error("the model's answer broke off"));
    }
  }

  /** With a list of fallback models, an error need not be the end; without, it is. */
  private errored(error: unknown): void {
    this.error = error;
    if (!Array.isArray(field(this.call.agent, "model"))) this.failed(error);
  }

  private succeeded(result: unknown, finishReason?: string): void {
    this.named(field(result, "runId"));
    const picked: unknown = finishReason === undefined ? result : { ...(result as Fields), finishReason };
    this.finish(picked, usageOf(result) ?? this.usageOfSteps(), {});
  }

  private aborted(event: unknown): void {
    const steps = list(field(event, "steps"));
    const last = steps.at(-1);
    const result = {
      text: field(event, "text") ?? field(last, "text"),
      finishReason: "aborted",
      steps,
      response: field(last, "response"),
    };
    this.finish(result, sumUsage(steps.map((step) => pickUsage(field(step, "usage")))), {});
  }

  /** Waits for approval or data. What resumes it goes on in the same trace, and brings the usage of both. */
  private suspended(result?: unknown): void {
    const { runId, span } = this;
    const seen = [...this.tools.seen];
    if (runId !== undefined) {
      rememberSuspended(runId, { traceId: span.traceId, parentSpanId: span.parentSpanId, seen });
    }
    this.finish({ ...(result as Fields | undefined), finishReason: "suspended" }, undefined, {});
  }

  private failed(error: unknown): void {
    if (NO_ANSWER.test(String(field(error, "message"))) && this.tools.anyWaiting) return this.suspended();
    const steps = this.steps.map(({ step }) => step);
    const errorMessage = describeError(error, this.span.capture);
    const result = { steps, finishReason: "error", request: { body: field(error, "requestBodyValues") } };
    this.finish(result, this.usageOfSteps(), { status: "ERROR", errorMessage, responseJson: undefined });
  }

  /** A network runs by itself: its promises drive nothing, and nothing is read from its stream. */
  private watchNetwork(network: unknown): void {
    const promises = [field(network, "status"), field(network, "result"), field(network, "usage")];
    Promise.all(promises).then(
      ([status, result, usage]) => void quietly(() => this.networkEnded(status, result, usage)),
      (error) => void quietly(() => this.failed(error)),
    );
  }

  private networkEnded(status: unknown, result: unknown, usage: unknown): void {
    if (status === "suspended") return this.suspended();
    if (status === "failed") return this.failed(field(result, "error") ?? new Error("the network failed"));
    const outcome = field(result, "result");
    const own = sumUsage([pickUsage(usage), this.childUsage], -1);
    this.finish({ text: field(outcome, "result"), finishReason: "stop", object: outcome }, own, {});
  }

  /** Ends the span, and with it what is left of its tools. */
  private finish(result: unknown, usage: Usage | undefined, more: SpanEnd): void {
    if (!bySpan.delete(this.span.spanId)) return;
    if (this.runId !== undefined && byRunId.get(this.runId) === this) byRunId.delete(this.runId);
    const endMs = now();
    this.settleUnseen(result, endMs);
    this.tools.end(endMs);
    const responseJson = this.span.capture ? snapshot(pickResponse(result)) : undefined;
    this.span.finish({
      endMs,
      model: modelsOf(result).modelId ?? modelsOf(this.steps.at(-1)?.step).modelId ?? this.askedModel,
      timeToFirstTokenMs: this.timeToFirstToken(),
      attributes: this.attributes(result),
      responseJson,
      usageJson: usage && JSON.stringify(usage),
      metadataJson: JSON.stringify(pickMetadata(result)),
      timingsJson: this.timings(endMs),
      linkTexts: this.linkTexts(result),
      ...more,
    });
    if (usage && this.parent) this.parent.childUsage = sumUsage([this.parent.childUsage, usage]);
    if (this.asTool) this.parent?.tools.adoptedEnded(this.asTool, endMs);
  }

  /** Steps that no callback told of, and the results of calls that no step told of. */
  private settleUnseen(result: unknown, endMs: number): void {
    const told = this.steps.length;
    const steps = list(field(result, "steps")).slice(told);
    let stepStart = this.steps.at(-1)?.endMs ?? this.span.startMs;
    for (const step of steps) {
      this.tools.settle({ step, endMs }, stepStart);
      stepStart = endMs;
    }
    if (told === 0 && steps.length === 0) this.tools.settle({ step: result, endMs }, stepStart);
  }

  private soFar(): SpanEnd {
    bySpan.delete(this.span.spanId);
    if (this.runId !== undefined) byRunId.delete(this.runId);
    const last = this.steps.at(-1)?.step;
    const usage = this.usageOfSteps();
    return {
      model: modelsOf(last).modelId ?? this.askedModel,
      timeToFirstTokenMs: this.timeToFirstToken(),
      attributes: this.attributes(last),
      usageJson: usage && JSON.stringify(usage),
      timingsJson: this.timings(now()),
      linkTexts: this.linkTexts({ steps: this.steps.map(({ step }) => step) }),
    };
  }

  private attributes(result: unknown): Attributes {
    const provider = providerOf(result) ?? providerOf(this.steps.at(-1)?.step);
    return {
      ...(this.runId !== undefined && { "fallom.run_id": this.runId }),
      ...(provider !== undefined && { "fallom.provider": provider }),
    };
  }

  private timings(endMs: number): string {
    const { startMs } = this.span;
    const { firstTokenMs, steps, tools } = this;
    const streaming = this.call.method.gives !== "output";
    return JSON.stringify(timingsOf({ startMs, endMs, firstTokenMs, streaming, steps, tools: tools.times }));
  }

  /** Only streams have a first token that means something. */
  private timeToFirstToken(): number | undefined {
    if (this.firstTokenMs === undefined || this.call.method.gives === "output") return undefined;
    return Math.max(0, this.firstTokenMs - this.span.startMs);
  }

  private linkTexts(result: unknown): string[] | undefined {
    if (!this.span.link) return undefined;
    const first = list(field(result, "steps"))[0];
    const body = field(field(first, "request"), "body") ?? field(field(result, "request"), "body");
    return [...this.texts, ...instructionTexts(this.call.agent, this.instructions, body)];
  }

  private usageOfSteps(): Usage | undefined {
    return sumUsage(this.steps.map(({ step }) => pickUsage(field(step, "usage"))));
  }

  private named(runId: unknown): void {
    if (this.runId !== undefined || text(runId) === undefined) return;
    this.runId = text(runId);
    if (this.runId !== undefined && bySpan.has(this.span.spanId)) byRunId.set(this.runId, this);
  }
}
