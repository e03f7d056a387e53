import type { Rival, TargetRef } from "./cluster.ts";
import type { QueueScaler } from "./queue-scaler.ts";

function groupOf({ apiVersion }: TargetRef): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}

/** API groups name one kind by several versions, so the version does not count. */
function isSame(one: TargetRef, other: TargetRef): boolean {
  return one.name === other.name && one.kind === other.kind && groupOf(one) === groupOf(other);
}

/** Of several scalers the oldest has the workload, and of equally old ones the first by name. */
function goesBefore(one: QueueScaler, other: QueueScaler): boolean {
  const order = Date.parse(one.metadata.creationTimestamp) - Date.parse(other.metadata.creationTimestamp);
  return order < 0 || (order === 0 && one.metadata.name < other.metadata.name);
}

/**
 * Who else scales the workload: another autoscaler, or a QueueScaler that goes before this one. A scaler that only
 * observes is nobody's rival. Answers a sentence that says what to mend; undefined where nobody does.
 */
export function conflictOf(
  scaler: QueueScaler,
  scalers: readonly QueueScaler[],
  rivals: readonly Rival[],
): string | undefined {
  const { namespace, uid } = scaler.metadata;
  const target = scaler.spec.scaleTargetRef;
  const what = `${target.kind} ${target.name}`;
  const rival = rivals.find((one) => one.namespace === namespace && isSame(one.target, target));
  if (rival !== undefined) {
    return `${rival.what} scales ${what} as well: delete it, or this QueueScaler; until then this one scales nothing`;
  }
  const other = scalers.find(
    (one) =>
      one.metadata.namespace === namespace &&
      one.metadata.uid !== uid &&
      one.spec.mode === "Act" &&
      isSame(one.spec.scaleTargetRef, target) &&
      goesBefore(one, scaler),
  );
  if (other === undefined) return undefined;
  return `QueueScaler ${other.metadata.name} is older and scales ${what} as well: delete one of the two; until then this one scales nothing`;
}
