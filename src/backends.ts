import { systemClock } from "./adapters/clock.ts";
import { openEmbeddedBroker } from "./adapters/embedded/broker.ts";
import { openEmbeddedStore } from "./adapters/embedded/store.ts";
import { openMongodbStore } from "./adapters/mongodb/store.ts";
import { openRabbitmqBroker } from "./adapters/rabbitmq/broker.ts";
import { certificateReader, openCertificates } from "./certificates.ts";
import { MillraceError } from "./errors.ts";
import type { BackupSource, RestoreTarget } from "./ports/backup.ts";
import type { Broker } from "./ports/broker.ts";
import type { Erasure } from "./ports/erasure.ts";
import type { Store } from "./ports/store.ts";
import type { Config } from "./settings.ts";
import type { Emit } from "./signals.ts";

// The broker and the store that the settings name.

export async function openBroker(config: Config, emit: Emit): Promise<Broker> {
  if (config.brokerUrl === "embedded:") return openEmbeddedBroker(config, systemClock);
  const certificates = certificateReader(config, "broker", emit);
  return openRabbitmqBroker({ ...config, certificates }, systemClock, emit);
}

export async function openStore(config: Config, emit: Emit): Promise<Store> {
  if (config.storeUrl === "embedded:") return openEmbeddedStore(config.dataDir);
  return openMongodbStore(withCertificates(config, emit), systemClock);
}

const withCertificates = (config: Config, emit: Emit = () => {}) => ({
  ...config,
  certificates: openCertificates(config, "store", emit),
});

/** What of the embedded adapters a backup takes in. */
const filesOf = ({ dataDir, brokerUrl }: Config) =>
  ({ dataDir, broker: brokerUrl === "embedded:" ? "embedded" : "elsewhere" }) as const;

// Loaded by the commands that use them alone.
export async function openBackupSource(config: Config): Promise<BackupSource> {
  if (config.storeUrl === "embedded:") {
    const { openEmbeddedBackup } = await import("./adapters/embedded/backup.ts");
    return openEmbeddedBackup(filesOf(config));
  }
  const { openMongodbBackup } = await import("./adapters/mongodb/backup.ts");
  return openMongodbBackup(withCertificates(config), systemClock);
}

export async function openRestoreTarget(config: Config): Promise<RestoreTarget> {
  if (config.storeUrl === "embedded:") {
    const { openEmbeddedRestore } = await import("./adapters/embedded/restore.ts");
    return openEmbeddedRestore(filesOf(config));
  }
  const { openMongodbRestore } = await import("./adapters/mongodb/restore.ts");
  return openMongodbRestore(withCertificates(config), systemClock);
}

/** @throws MillraceError INVALID_SETTING where the one is embedded and the other is not: it would erase a part alone. */
export async function openErasure(config: Config): Promise<Erasure> {
  const { brokerUrl, storeUrl, dataDir } = config;
  if ((brokerUrl === "embedded:") !== (storeUrl === "embedded:")) {
    const variable = brokerUrl === "embedded:" ? "MILLRACE_BROKER_URL" : "MILLRACE_STORE_URL";
    const detail = `${variable} is 'embedded:' and the other is not; erase works where both are embedded, or none is, and has done nothing`;
    throw new MillraceError("INVALID_SETTING", detail);
  }
  if (brokerUrl === "embedded:") {
    const { openEmbeddedErasure } = await import("./adapters/embedded/erasure.ts");
    return openEmbeddedErasure(dataDir, systemClock);
  }
  const { openMongodbErasure } = await import("./adapters/mongodb/erasure.ts");
  const { openRabbitmqErasure } = await import("./adapters/rabbitmq/erasure.ts");
  const { erasureOf } = await import("./commands/erasure-of.ts");
  // First, as it refuses a URL that cannot be read.
  const views = openMongodbErasure(withCertificates(config), systemClock);
  const certificates = certificateReader(config, "broker");
  return erasureOf(openRabbitmqErasure({ ...config, certificates }, systemClock), views);
}
