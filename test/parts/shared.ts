import { namedBroker, namedStore } from "./named.ts";
import { type BrokerPart, type Part, PartMissing, type StorePart } from "./part.ts";
import { startBrokerPart, startStorePart } from "./parts.ts";

/** The two that a whole test run shares. */
export interface SharedParts extends AsyncDisposable {
  /** Undefined where it cannot be had. */
  readonly broker: BrokerPart | undefined;
  readonly store: StorePart | undefined;
  /** Why not, one line a part that is missing. */
  readonly missing: readonly string[];
}

/** Those that variables name, else one of each of this run's own, both at once. Rejects when one is at fault. */
export async function openSharedParts(): Promise<SharedParts> {
  await using opened = new AsyncDisposableStack();
  const missing: string[] = [];
  const orMissing = async <T extends Part>(name: string, open: () => Promise<T>): Promise<T | undefined> => {
    try {
      return opened.use(await open());
    } catch (error) {
      if (!(error instanceof PartMissing)) throw error;
      missing.push(`${name}: ${error.message}`);
      return undefined;
    }
  };
  const both = await Promise.allSettled([
    orMissing("the broker", async () => (await namedBroker()) ?? startBrokerPart()),
    orMissing("the store", async () => (await namedStore()) ?? startStorePart()),
  ]);
  const [broker, store] = both.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  }) as [BrokerPart | undefined, StorePart | undefined];
  const kept = opened.move();
  return { broker, store, missing, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
