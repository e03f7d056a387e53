import {
  type Cluster,
  ClusterError,
  type ClusterFault,
  type Notice,
  type ObjectName,
  type Rival,
  type Target,
} from "../../operator/cluster.ts";
import type { BrokenScaler, QueueScaler } from "../../operator/queue-scaler.ts";
import type { QueueScalerStatus } from "../../operator/queue-scaler-status.ts";

const keyOf = ({ namespace, name }: ObjectName): string => `${namespace}/${name}`;

/** A cluster in memory, without anything that runs in it: what is scaled is so at once, and what is refused is so by wish. */
export class MemoryCluster implements Cluster {
  readonly #scalers = new Map<string, QueueScaler | BrokenScaler>();
  readonly targets = new Map<string, Target>();
  readonly secrets = new Map<string, Readonly<Record<string, string>>>();
  readonly rivalsThere: Rival[] = [];
  readonly notices: Notice[] = [];
  readonly secretAges: number[] = [];
  /** Is called when something has been scaled. */
  afterScale: () => void = () => {};
  /** How often a status was written. */
  reports = 0;
  readonly #refusals = new Map<string, ClusterFault>();

  put(scaler: QueueScaler | BrokenScaler): void {
    this.#scalers.set(keyOf(scaler.metadata), scaler);
  }
  remove(name: ObjectName): void {
    this.#scalers.delete(keyOf(name));
  }
  /** From now on the method rejects with the fault, or does not any more. */
  refuse(method: "scale" | "report" | "target" | "secret", fault: ClusterFault | undefined): void {
    if (fault === undefined) this.#refusals.delete(method);
    else this.#refusals.set(method, fault);
  }
  #ask(method: string): void {
    const fault = this.#refusals.get(method);
    if (fault !== undefined) throw new ClusterError(fault, `${method} is refused: ${fault}`);
  }

  async watch(): Promise<void> {}
  scaler(name: ObjectName): QueueScaler | BrokenScaler | undefined {
    return this.#scalers.get(keyOf(name));
  }
  scalers(): readonly QueueScaler[] {
    return Array.from(this.#scalers.values()).flatMap((one) => ("spec" in one ? [one] : []));
  }
  rivals(namespace: string): readonly Rival[] {
    return this.rivalsThere.filter((rival) => rival.namespace === namespace);
  }
  async target(namespace: string, { name }: { readonly name: string }): Promise<Target> {
    this.#ask("target");
    const target = this.targets.get(keyOf({ namespace, name }));
    if (target === undefined) throw new ClusterError("NotFound", `there is no ${name} in ${namespace}`);
    return target;
  }
  async scale(
    namespace: string,
    { name }: { readonly name: string },
    seen: Target,
    replicas: number,
  ): Promise<Target> {
    this.#ask("scale");
    const scaled = { ...seen, replicas };
    this.targets.set(keyOf({ namespace, name }), scaled);
    this.afterScale();
    return scaled;
  }
  async secret(name: ObjectName, maxAgeMs: number): Promise<Readonly<Record<string, string>>> {
    this.#ask("secret");
    this.secretAges.push(maxAgeMs);
    const secret = this.secrets.get(keyOf(name));
    if (secret === undefined) throw new ClusterError("NotFound", `there is no Secret ${name.name}`);
    return secret;
  }
  async report({ metadata }: Pick<QueueScaler, "metadata">, status: QueueScalerStatus): Promise<void> {
    this.#ask("report");
    this.reports++;
    const scaler = this.#scalers.get(keyOf(metadata));
    if (scaler !== undefined) this.put({ ...scaler, status });
  }
  async announce(_scaler: Pick<QueueScaler, "metadata">, notice: Notice): Promise<void> {
    this.notices.push(notice);
  }
}
