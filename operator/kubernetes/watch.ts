import { setTimeout as sleep } from "node:timers/promises";
import { ClusterError } from "../cluster.ts";
import type { Emit } from "../../src/signals.ts";
import { type ApiStatus, Refusal, refusalOf } from "./faults.ts";
import type { Question, Requests } from "./requests.ts";
import type { Held, Shelf } from "./shelf.ts";

/** What every object of the API has. */
export interface ApiObject {
  readonly metadata: {
    readonly name: string;
    /** Undefined where the kind is of no namespace. */
    readonly namespace?: string;
    readonly resourceVersion: string;
  };
}

/** A kind that is watched, what is kept of it, and who is told. */
export interface Watched<T extends Held> {
  readonly group: string;
  readonly version: string;
  /** In the plural. */
  readonly resource: string;
  /** Whether it may be that the cluster does not have the kind or that the operator may not see it. */
  readonly optional: boolean;
  readonly shelf: Shelf<T>;
  /** What is kept of an object; what it makes does not refer to the object. */
  keep(object: ApiObject): T;
  /** Must not throw. */
  changed(namespace: string, name: string, before: T | undefined, after: T | undefined): void;
}

export interface Watch {
  /** Resolves once there is a list, or the cluster has refused to give one. Never rejects. */
  readonly listed: Promise<void>;
  /** Whether what is on the shelf is all that there is. */
  readonly complete: boolean;
  /** Why the cluster refuses to give a list; undefined where it does not, or where the kind is optional. */
  readonly fault: ClusterError | undefined;
}

interface List {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items?: readonly ApiObject[];
}
type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; readonly object: ApiObject }
  | { readonly type: "ERROR"; readonly object: ApiStatus };

const PAGE = "500";
/** How long the server lets a watch go on, in seconds; as much again by chance, so that not all begin anew together. */
const WATCH_SECONDS = 240;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;
/** When to look again for a kind that the cluster need not have. */
const LOOK_AGAIN_MS = 60_000;
/** A server that has just started may not know a kind yet: only the third answer in a row that there is none is believed. */
const BELIEVED_ABSENCES = 3;
/** Failures in a row after which what was missed is no longer asked for, but all of it. */
const LIST_AFTER_FAILURES = 3;

/**
 * Keeps a shelf as the cluster is, until `stop`: a list, then a watch from there on, again and again. What is gone from a
 * later list is told like what the watch tells to be gone.
 *
 * @param namespace - undefined for all of them.
 */
export function keepWatching<T extends Held>(
  requests: Requests,
  watched: Watched<T>,
  namespace: string | undefined,
  emit: Emit,
  stop: AbortSignal,
): Watch {
  const { group, version, resource, optional, shelf } = watched;
  const where = namespace === undefined ? "" : `/namespaces/${namespace}`;
  const question = { group, resource, namespace, path: `/apis/${group}/${version}${where}/${resource}` };
  const listed = Promise.withResolvers<void>();
  const state: { complete: boolean; fault: ClusterError | undefined } = { complete: false, fault: undefined };
  /** Where the next watch goes on; undefined where a list is needed. */
  let from: string | undefined;
  let failures = 0;
  let absences = 0;

  const put = (object: ApiObject): void => {
    const { name, namespace: place = "" } = object.metadata;
    const before = shelf.get(place, name);
    const after = watched.keep(object);
    if (shelf.put(place, name, after)) watched.changed(place, name, before, after);
  };
  const remove = (place: string, name: string, resourceVersion: string): void => {
    const before = shelf.remove(place, name, resourceVersion);
    if (before !== undefined) watched.changed(place, name, before, undefined);
  };
  const removeAllBut = (seen: ReadonlySet<string>, resourceVersion: string): void => {
    for (const [place, name] of shelf.names(namespace)) {
      if (!seen.has(`${place}/${name}`)) remove(place, name, resourceVersion);
    }
  };

  const list = async (): Promise<string> => {
    const seen = new Set<string>();
    for (let next: string | undefined; ; ) {
      const query = { limit: PAGE, ...(next === undefined ? {} : { continue: next }) };
      const page: List = await requests.ask({ ...question, verb: "list", query });
      for (const object of page.items ?? []) {
        seen.add(`${object.metadata.namespace ?? ""}/${object.metadata.name}`);
        put(object);
      }
      next = page.metadata.continue || undefined;
      if (next !== undefined) continue;
      removeAllBut(seen, page.metadata.resourceVersion);
      return page.metadata.resourceVersion;
    }
  };

  const follow = async (resourceVersion: string): Promise<void> => {
    const seconds = Math.round(WATCH_SECONDS * (1 + Math.random()));
    const query = {
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion,
      timeoutSeconds: String(seconds),
    };
    const watch: Question = { ...question, verb: "watch", query };
    for await (const event of requests.stream<WatchEvent>(watch, stop)) {
      if (event.type === "ERROR") throw refusalOf(watch, event.object.code ?? 500, event.object);
      failures = 0;
      const { metadata } = event.object;
      if (event.type === "DELETED") remove(metadata.namespace ?? "", metadata.name, metadata.resourceVersion);
      else if (event.type !== "BOOKMARK") put(event.object);
      from = metadata.resourceVersion;
    }
  };

  const round = async (): Promise<void> => {
    if (from === undefined) {
      from = await list();
      failures = 0;
      absences = 0;
      state.complete = true;
      state.fault = undefined;
      listed.resolve();
    }
    const begunMs = performance.now();
    await follow(from);
    failures = 0;
    // Nobody may have us begin anew without a pause.
    if (performance.now() - begunMs < FIRST_RETRY_MS) await pause(FIRST_RETRY_MS, stop);
  };

  const failed = async (error: ClusterError): Promise<void> => {
    failures += 1;
    const isForgotten = error instanceof Refusal && error.status === 410;
    if (isForgotten || error.fault !== "Unavailable" || failures >= LIST_AFTER_FAILURES) from = undefined;
    const isRefused =
      error.fault === "Forbidden" || error.fault === "NoSuchKind" || error.fault === "NotFound";
    if (isRefused) {
      absences = error.fault === "Forbidden" ? 0 : absences + 1;
      if (absences >= BELIEVED_ABSENCES) removeAllBut(new Set(), ALL);
      state.complete = false;
      listed.resolve();
      if (optional) {
        // A cluster need not know the kind; not to be let see it is worth a word.
        if (error.fault === "Forbidden") emit("watch.restarted", { resource, error });
        return pause(LOOK_AGAIN_MS, stop);
      }
      state.fault = error;
    } else if (!state.complete && failures >= TOO_MANY_FAILURES) {
      // Others wait for this list: without an optional kind they go on, without any other this process is not ready.
      if (optional) listed.resolve();
      else state.fault = error;
    }
    emit("watch.restarted", { resource, error });
    // What the server no longer remembers is listed at once.
    if (isForgotten && failures === 1) return;
    await pause(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)), stop);
  };

  const run = async (): Promise<void> => {
    while (!stop.aborted) {
      try {
        await round();
      } catch (error) {
        await failed(error instanceof ClusterError ? error : defect(error));
      }
    }
    listed.resolve();
  };
  void run();
  return {
    listed: listed.promise,
    get complete() {
      return state.complete;
    },
    get fault() {
      return state.fault;
    },
  };
}

/** Failures in a row to get a first list that are no passing trouble any more. */
const TOO_MANY_FAILURES = 3;

/** Newer than any. */
const ALL = "9".repeat(20);

function defect(error: unknown): ClusterError {
  return new ClusterError("Invalid", `what is watched cannot be read: ${String(error)}`, { cause: error });
}

/** Some of the time, so that those who failed together do not come back together; ends at once with `stop`. */
async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await sleep(ms * (0.5 + Math.random() / 2), undefined, { signal: stop }).catch(() => {});
}
