import type { FastifyError, FastifyReply, FastifyRequest, FastifySchemaValidationError } from "fastify";
import { type ErrorCode, errorTable, type Fault, MillraceError, pointerTo } from "../errors.ts";

export const problemContentType = "application/problem+json";

/** Holds a browser to the content type that it is told: some of what is answered was sent by others. */
export const noSniffing = ["x-content-type-options", "nosniff"] as const;

/** What a client is told of an error: problem details of RFC 9457, with `code` and, for what a client sent, `errors`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly errors?: readonly Fault[];
}

/** A stable name, whose page is the error's row in docs/errors.md. */
const typeOf = (code: ErrorCode): string =>
  `https://millrace.io/errors#${code.toLowerCase().replaceAll("_", "-")}`;

export function problemOf(error: MillraceError): Problem {
  const { status, title } = error.facts;
  return {
    type: typeOf(error.code),
    title,
    status,
    code: error.code,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.faults.length === 0 ? {} : { errors: error.faults }),
  };
}

/** Seconds that a client should wait before it tries again; more than one, at random, spreads the herd. */
const retryAfterSeconds = (): number => 1 + Math.floor(Math.random() * 3);

export function sendProblem(reply: FastifyReply, error: MillraceError): FastifyReply {
  const { status, retry } = error.facts;
  if (retry === "later" && status !== 500 && !reply.hasHeader("retry-after")) {
    void reply.header("retry-after", retryAfterSeconds());
  }
  if (error.code === "KEY_MISSING") void reply.header("www-authenticate", "Bearer");
  // What was not read of the body would be taken for the next request.
  if (!reply.request.raw.complete) void reply.header("connection", "close");
  return (
    reply
      .code(status)
      .header("content-type", problemContentType)
      // It quotes what was sent, and is true of this moment.
      .header("cache-control", "no-store")
      .header(...noSniffing)
      .send(JSON.stringify(problemOf(error)))
  );
}

const codeOfStatus = new Map<number, ErrorCode>([
  [400, "MALFORMED_BODY"],
  // Of a file that is none of those that are served.
  [403, "NOT_FOUND"],
  [404, "NOT_FOUND"],
  [408, "BODY_TIMEOUT"],
  [413, "BODY_TOO_LARGE"],
  [415, "UNSUPPORTED_MEDIA_TYPE"],
  [429, "RATE_LIMITED"],
  [503, "OVERLOADED"],
]);

/** Faults told of one URL; a long one could have thousands. */
const MAX_FAULTS = 16;

function parameterFault({ instancePath, message, params }: FastifySchemaValidationError): Fault {
  const unknown = params["additionalProperty"];
  if (typeof unknown !== "string") {
    const at = instancePath === "" ? "the body" : instancePath.slice(1);
    return { pointer: instancePath, detail: `${at} ${message ?? "is not valid"}` };
  }
  return { pointer: pointerTo(unknown), detail: `${unknown.slice(0, 64)} is not a parameter of this route` };
}

/** Fastify's and its plugins' errors in our words; what is nobody's fault but ours is INTERNAL and tells no detail. */
export function errorOf(thrown: FastifyError | Error, request: FastifyRequest): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  if ("validation" in thrown && thrown.validation !== undefined) {
    const faults = thrown.validation.slice(0, MAX_FAULTS).map(parameterFault);
    const detail = faults.map((fault) => fault.detail).join("; ");
    const code = thrown.validationContext === "body" ? "INVALID_BODY" : "INVALID_QUERY";
    return new MillraceError(code, detail, { faults });
  }
  const status = "statusCode" in thrown ? (thrown.statusCode ?? 500) : 500;
  const code = codeOfStatus.get(status);
  if (code === undefined || errorTable[code].status >= 500)
    return new MillraceError("INTERNAL", undefined, { cause: thrown });
  return new MillraceError(code, code === "NOT_FOUND" ? request.url : thrown.message);
}
