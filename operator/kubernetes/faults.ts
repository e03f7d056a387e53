import { ClusterError, type ClusterFault } from "../cluster.ts";
import type { Question } from "./requests.ts";

/** What the API server says with a code that is no success: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
export interface ApiStatus {
  readonly code?: number;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly name?: string; readonly kind?: string };
}

/** An answer that is no success. */
export class Refusal extends ClusterError {
  /** The HTTP status. */
  readonly status: number;

  constructor(fault: ClusterFault, message: string, status: number) {
    super(fault, message);
    this.status = status;
  }
}

/** What the API server has refused, with a sentence that says what to mend. */
export function refusalOf(question: Question, status: number, said: ApiStatus): Refusal {
  const what = named(question);
  const words = withoutSecrets(said.message ?? `HTTP status ${status}`);
  switch (status) {
    case 401:
      return new Refusal("Forbidden", "the API server does not accept this operator's credentials", status);
    case 403:
      return new Refusal("Forbidden", forbidden(question, words), status);
    case 404:
      // Of an object that is missing the API server tells the name, of a path that it does not know it does not.
      return said.details?.name === undefined
        ? new Refusal("NoSuchKind", `the cluster knows no ${inGroup(question)}`, status)
        : new Refusal("NotFound", `there is no ${what}`, status);
    case 409:
      return said.reason === "AlreadyExists"
        ? new Refusal("Conflict", `somebody else has created ${what}`, status)
        : new Refusal("Conflict", `somebody else has changed ${what} meanwhile`, status);
    case 400:
    case 413:
    case 415:
    case 422:
      return new Refusal("Invalid", `the API server does not accept ${what}: ${words}`, status);
    case 405:
      return new Refusal("NoSuchKind", `one cannot ${question.verb} ${inGroup(question)}`, status);
    default:
      return new Refusal("Unavailable", `the API server cannot answer at present: ${words}`, status);
  }
}

/** What has come instead of an answer. */
export function unreachable(error: unknown): ClusterError {
  if (error instanceof ClusterError) return error;
  const first: unknown = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  const words = first instanceof Error ? first.message : String(first);
  return new ClusterError("Unavailable", `the API server cannot be reached: ${withoutSecrets(words)}`);
}

/** An answer 403 may come from an admission or a quota too, whose words say why. */
function forbidden(question: Question, words: string): string {
  if (!/ cannot \S+ resource /.test(words)) {
    return `the API server forbids this operator to ${question.verb} ${named(question)}: ${words}`;
  }
  const where = question.namespace === undefined ? "in all namespaces" : `in namespace ${question.namespace}`;
  const role = question.namespace === undefined ? "ClusterRole" : "Role or ClusterRole";
  return `this operator may not ${question.verb} ${inGroup(question)} ${where}: a ${role} that is bound to its service account must allow it`;
}

/** Such as `Deployment worker in namespace shop`. */
function named({ resource, object = resource, namespace }: Question): string {
  return namespace === undefined ? object : `${object} in namespace ${namespace}`;
}

/** Such as `deployments/scale (API group apps)`; the core group has no name. */
function inGroup({ resource, group }: Question): string {
  return group === "" ? resource : `${resource} (API group ${group})`;
}

/** An error of a plugin for credentials or of a proxy might repeat what it was given. */
function withoutSecrets(words: string): string {
  return words
    .replaceAll(/\b(Bearer|Basic)\s+\S+/gi, "$1 ***")
    .replaceAll(/\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?/g, "***")
    .replaceAll(/\/\/[^/@\s]+@/g, "//***@");
}
