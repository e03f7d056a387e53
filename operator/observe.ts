import { brokerAddress } from "./broker-address.ts";
import type { BrokerFigures, Reading } from "./broker-figures.ts";
import { type Cluster, ClusterError, type Target } from "./cluster.ts";
import type { QueueScaler } from "./queue-scaler.ts";
import { deadLetterQueueOf, type Obstacle } from "./status.ts";

/** A changed Secret is noticed after this time at the latest, in milliseconds. */
const SECRET_MAX_AGE_MS = 30_000;
/** And after this one while RabbitMQ refuses what the Secret says. */
const REFUSED_SECRET_MAX_AGE_MS = 5000;
/** The workload; or what is in the way, where the cluster does not tell it. */
export async function targetOf(
  cluster: Cluster,
  { metadata, spec }: QueueScaler,
): Promise<{ readonly target?: Target; readonly obstacle?: Obstacle }> {
  try {
    return { target: await cluster.target(metadata.namespace, spec.scaleTargetRef) };
  } catch (error) {
    const { fault, message } = faultOf(error);
    return { obstacle: { reason: `Target${fault}`, message } };
  }
}

/** What RabbitMQ says of the queue. `refused` tells that the last credentials were. */
export async function readingOf(
  { cluster, figures }: { readonly cluster: Cluster; readonly figures: BrokerFigures },
  { metadata: { namespace }, spec }: QueueScaler,
  refused: boolean,
): Promise<{ readonly reading?: Reading; readonly obstacle?: Obstacle }> {
  const { queue, brokerRef, pollingIntervalSeconds } = spec;
  const name = { namespace, name: brokerRef.secret.name };
  let address: ReturnType<typeof brokerAddress>;
  try {
    const maxAgeMs = refused ? REFUSED_SECRET_MAX_AGE_MS : SECRET_MAX_AGE_MS;
    address = brokerAddress(brokerRef, await cluster.secret(name, maxAgeMs));
  } catch (error) {
    const { fault, message } = faultOf(error);
    return { obstacle: { reason: `Secret${fault}`, message: naming(name.name, message) } };
  }
  if (typeof address === "string") return { obstacle: { reason: "SecretInvalid", message: address } };
  const id = { vhost: queue.vhost, name: queue.name, deadLetterQueue: deadLetterQueueOf(queue) };
  // A little less than the interval, so that one round of all scalers shares one answer and the next asks anew.
  const reading = await figures.read(address, id, pollingIntervalSeconds * 900);
  return reading.ok
    ? { reading }
    : { reading, obstacle: { reason: reading.fault, message: reading.message } };
}

/** A refusal need not tell of which Secret. */
function naming(secret: string, message: string): string {
  return message.includes(secret) ? message : `Secret ${secret}: ${message}`;
}

/** @throws whatever is no ClusterError: a defect. */
export function faultOf(error: unknown): ClusterError {
  if (error instanceof ClusterError) return error;
  throw error;
}
