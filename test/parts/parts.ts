import { whyNoChroot } from "./chroot.ts";
import { DockerBroker, DockerStore, whyNoDocker } from "./docker.ts";
import { MongoWire } from "./mongo-wire.ts";
import { portTaken } from "./own.ts";
import { type BrokerPart, type Part, PartMissing, type StorePart } from "./part.ts";
import { RabbitMq } from "./rabbitmq.ts";

export type { BrokerPart, Filed, Part, StorePart } from "./part.ts";

export interface BrokerPartOptions {
  /** Further lines of rabbitmq.conf. */
  readonly configuration?: readonly string[];
}

/** Starts a broker of its own on free ports; disposal ends it and deletes its data. Rejects with PartMissing. */
export async function startBrokerPart({ configuration = [] }: BrokerPartOptions = {}): Promise<BrokerPart> {
  return started<BrokerPart>(
    () => RabbitMq.open(configuration),
    () => DockerBroker.open(configuration),
  );
}

/** Starts a store of its own on free ports; disposal ends it and deletes its data. Rejects with PartMissing. */
export async function startStorePart(): Promise<StorePart> {
  return started<StorePart>(
    () => MongoWire.open(),
    () => DockerStore.open(),
  );
}

/** Undefined where parts can be tried; whether packages and images can be fetched shows only when they are. */
export async function whyNoOwnParts(): Promise<string | undefined> {
  const noChroot = whyNoChroot();
  if (noChroot === undefined) return undefined;
  const noDocker = await whyNoDocker();
  return noDocker === undefined ? undefined : `${noChroot}; ${noDocker}`;
}

const ATTEMPTS = 3;

/** From packages, else from an image; with other ports where one of them was taken meanwhile. */
async function started<T extends Part>(
  fromPackages: () => Promise<T>,
  fromImage: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const part = await fromPackages().catch(async (error: unknown) => {
      if (!(error instanceof PartMissing)) throw error;
      const noDocker = await whyNoDocker();
      if (noDocker !== undefined) throw new PartMissing(`${error.message}; ${noDocker}`, { cause: error });
      return fromImage();
    });
    try {
      await part.start();
      return part;
    } catch (error) {
      await part[Symbol.asyncDispose]();
      if (attempt === ATTEMPTS || !portTaken(String(error))) throw error;
    }
  }
}
