import { now } from "../../clock";
import type { Known, SpanEnd } from "../../envelope";
import { native } from "../../native";
import type { Snapshot } from "../../slab";
import type { OpenSpan } from "../../span";
import { capture, Written } from "../../values";
import { instructionTexts, messageTexts } from "./link";
import type { Method } from "./methods";
import {
  type Model,
  modelOf,
  NO_MODEL,
  pickUsage,
  providerOf,
  sumUsage,
  type Told,
  toldBy,
  type Usage,
  writtenUsage,
} from "./pick";
import { field, list, text } from "./read";
import { type Answer, metadataOf, responseOf } from "./response";
import { putTimings, type RunTimes, type StepTime, type ToolTime } from "./timings";

/** What a run's span says: gathered as the run goes on, told when it ends. */
export class Report {
  runId: string | undefined;
  firstTokenMs: number | undefined;
  readonly steps: StepTime[] = [];
  private askedModel: string | undefined;
  private readonly instructions: unknown;
  /** The messages' texts, where the core cannot read them from the request. Taken even where they may not be wanted. */
  private readonly messages: string[] | undefined;

  constructor(
    private readonly span: OpenSpan,
    private readonly agent: object,
    private readonly method: Method,
    private readonly tools: readonly ToolTime[],
    [input]: unknown[],
    options: unknown,
  ) {
    this.runId = text(field(options, "runId"));
    this.instructions = field(options, "instructions");
    this.messages = span.recording && !span.capture ? messageTexts(input) : undefined;
    this.askedModel = text(field(field(agent, "model"), "modelId")) ?? text(field(agent, "model"));
  }

  /** What is known from the start: the messages as the caller gave them, taken now, since Mastra may write into them. */
  begin(name: string, input: unknown): Known {
    const request = this.span.capture ? this.request(input) : undefined;
    const { label } = this.method;
    return { method: label, agentName: name, request, insideAgent: undefined, promptJson: undefined };
  }

  /** Notes a step; says when it began. */
  step(step: unknown): { ended: StepTime; startMs: number } {
    this.askedModel ??= text(field(field(step, "model"), "modelId"));
    const startMs = this.lastMs;
    const told = toldBy(step);
    const ended = { step, told, endMs: now(), usage: pickUsage(told.usage) };
    this.steps.push(ended);
    return { ended, startMs };
  }

  /** When the last step ended, or the run began. */
  get lastMs(): number {
    return this.steps.at(-1)?.endMs ?? this.span.startMs;
  }

  get usageOfSteps(): Usage | undefined {
    return sumUsage(this.steps.map(({ usage }) => usage));
  }

  /** All that a finished run says. */
  end(result: unknown, told: Told, usage: Usage | undefined, endMs: number): SpanEnd {
    const answer = { result, told, model: modelOf(told.response) };
    const end = this.common(answer, usage, endMs);
    if (this.span.capture) end.response = responseOf(answer);
    end.metadata = metadataOf(answer);
    return end;
  }

  /** What is known while the run is under way. */
  soFar(): SpanEnd {
    const steps = this.steps.map(({ step }) => step);
    const answer = { result: undefined, told: { steps }, model: NO_MODEL };
    return this.common(answer, this.usageOfSteps, now());
  }

  private common(answer: Answer, usage: Usage | undefined, endMs: number): SpanEnd {
    const links = this.span.known.promptJson === undefined && native().links();
    return {
      endMs,
      model: this.model(answer),
      timeToFirstTokenMs: this.timeToFirstToken(),
      runId: this.runId,
      provider: this.provider(answer.model),
      usage: usage && writtenUsage(usage),
      timings: this.timings(endMs),
      // Asked at the end: the call itself may be the first to fetch a prompt.
      linkTexts: links ? this.linkTexts(answer) : undefined,
      linkMessages: links ? this.messages : undefined,
      response: undefined,
      metadata: undefined,
    };
  }

  /**
   * The model that answered, else the one asked for. A turn that was cut short has a response, too, of Mastra's own
   * making; that it has no usage tells it from an answer.
   */
  private model({ told, model: { modelId } }: Answer): string | undefined {
    const steps = list(told.steps);
    const answered = lastWithUsage(steps) ?? this.steps.findLast(({ usage }) => usage !== undefined)?.step;
    const last = steps.at(-1) ?? this.steps.at(-1)?.step;
    return modelOfStep(answered).modelId ?? modelId ?? modelOfStep(last).modelId ?? this.askedModel;
  }

  private request(input: unknown): Snapshot | undefined {
    const { resumes, optionsAt } = this.method;
    // An approval carries no content, other answers are data of the user's.
    if (resumes) return optionsAt === 0 ? undefined : capture(input);
    if (typeof input === "string") return capture([{ role: "user", content: input }]);
    return capture(Array.isArray(input) ? input : input === undefined ? [] : [input]);
  }

  private provider(model: Model): string | undefined {
    return providerOf(model) ?? providerOf(modelOf(this.steps.at(-1)?.told.response));
  }

  private timings(endMs: number): Written<RunTimes> {
    const { steps, tools } = this;
    const { startMs, streaming } = this.span;
    const firstTokenMs = streaming ? this.firstTokenMs : undefined;
    return new Written<RunTimes>(putTimings, { startMs, endMs, firstTokenMs, streaming, steps, tools });
  }

  /** Only streams have a first token that means something. */
  private timeToFirstToken(): number | undefined {
    if (this.firstTokenMs === undefined || !this.span.streaming) return undefined;
    return Math.max(0, this.firstTokenMs - this.span.startMs);
  }

  private linkTexts({ result, told }: Answer): readonly string[] {
    const first = list(told.steps)[0];
    const body = field(field(first, "request"), "body") ?? field(field(result, "request"), "body");
    const inside = this.span.known.insideAgent === true;
    return instructionTexts(this.agent, this.instructions, body, inside);
  }
}

function modelOfStep(step: unknown): Model {
  return modelOf(field(step, "response"));
}

function lastWithUsage(steps: readonly unknown[]): unknown {
  let at = steps.length - 1;
  while (at >= 0 && pickUsage(field(steps[at], "usage")) === undefined) at--;
  return steps[at];
}
