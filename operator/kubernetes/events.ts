import { randomUUID } from "node:crypto";
import { ClusterError, type Notice } from "../cluster.ts";
import { API_VERSION, GROUP, KIND, type QueueScaler } from "../queue-scaler.ts";
import type { Requests } from "./requests.ts";

type Named = Pick<QueueScaler, "metadata">;

/** Events about scalers: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ */
export interface Events {
  announce(scaler: Named, notice: Notice): Promise<void>;
}

/** A notice that comes again within this time after the last one continues its series, as in client-go. */
const SERIES_MS = 360_000;
/** Most series that are remembered. */
const MOST_SERIES = 2000;
/** The API's own limit of a note, in bytes. */
const LONGEST_NOTE = 1024;

interface Series {
  lastMs: number;
  count: number;
  /** Of the Event; there is none where it could not be written. */
  readonly name: Promise<string>;
}

export function openEvents(requests: Requests, identity: string): Events {
  /** Oldest first. */
  const known = new Map<string, Series>();
  const group = "events.k8s.io";
  const pathIn = (namespace: string) => `/apis/${group}/v1/namespaces/${namespace}/events`;

  const create = async ({ metadata }: Named, notice: Notice): Promise<string> => {
    const { namespace, name, uid } = metadata;
    const event = `${name.slice(0, 200)}.${randomUUID().slice(0, 13)}`;
    await requests.ask({
      verb: "create",
      group,
      resource: "events",
      namespace,
      object: `an Event about ${name}`,
      path: pathIn(namespace),
      body: {
        metadata: { name: event, namespace },
        eventTime: microTime(Date.now()),
        type: notice.type,
        reason: notice.reason,
        action: notice.action,
        note: cut(notice.note),
        regarding: { apiVersion: API_VERSION, kind: KIND, namespace, name, uid },
        reportingController: `${GROUP}/operator`,
        reportingInstance: identity.slice(0, 128),
      },
    });
    return event;
  };

  const begin = async (key: string, scaler: Named, notice: Notice): Promise<void> => {
    const name = create(scaler, notice);
    known.delete(key);
    known.set(key, { lastMs: performance.now(), count: 1, name });
    const [oldest] = known.keys();
    if (known.size > MOST_SERIES && oldest !== undefined) known.delete(oldest);
    try {
      await name;
    } catch (error) {
      known.delete(key);
      throw error;
    }
  };

  const prolong = async (namespace: string, series: Series): Promise<void> => {
    series.lastMs = performance.now();
    series.count += 1;
    const name = await series.name;
    await requests.ask({
      verb: "patch",
      group,
      resource: "events",
      namespace,
      object: `Event ${name}`,
      path: `${pathIn(namespace)}/${name}`,
      contentType: "application/merge-patch+json",
      body: { series: { count: series.count, lastObservedTime: microTime(Date.now()) } },
    });
  };

  return {
    async announce(scaler, notice) {
      const { type, reason, action, note } = notice;
      const key = JSON.stringify([scaler.metadata.uid, type, reason, action, note]);
      const series = known.get(key);
      if (series === undefined || performance.now() - series.lastMs > SERIES_MS) {
        return begin(key, scaler, notice);
      }
      try {
        await prolong(scaler.metadata.namespace, series);
      } catch (error) {
        // Kubernetes forgets Events after an hour, or sooner.
        if (!(error instanceof ClusterError) || error.fault !== "NotFound") throw error;
        await begin(key, scaler, notice);
      }
    },
  };
}

/** The API takes no other number of digits. */
export function microTime(atMs: number): string {
  return new Date(atMs).toISOString().replace("Z", "000Z");
}

function cut(note: string): string {
  if (Buffer.byteLength(note) <= LONGEST_NOTE) return note;
  // A character that was cut in two is left out.
  return `${Buffer.from(note)
    .subarray(0, LONGEST_NOTE - 3)
    .toString()
    .replace(/\uFFFD+$/, "")}…`;
}
