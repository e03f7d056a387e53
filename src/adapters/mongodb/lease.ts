import type { Connection } from "./connection.ts";
import { faultOf } from "./faults.ts";

/** An upsert that finds the lease held by another inserts a second one, and is refused: the id is taken. */
export async function acquireLease(
  connection: Connection,
  lease: { readonly name: string; readonly holder: string; readonly untilMs: number },
  nowMs: number,
): Promise<boolean> {
  const { name, holder, untilMs } = lease;
  return connection.run(async (collections) => {
    try {
      await collections.lease.updateOne(
        { _id: name, $or: [{ holder }, { until: { $lte: nowMs } }] },
        { $set: { holder, until: untilMs } },
        { upsert: true },
      );
      return true;
    } catch (thrown) {
      if (faultOf(thrown).kind === "there") return false;
      throw thrown;
    }
  });
}

/** Takes a lease from whoever has it. Resolves to when it would have ended for another holder; 0 where there was none. */
export async function seizeLease(
  connection: Connection,
  lease: { readonly name: string; readonly holder: string; readonly untilMs: number },
): Promise<number> {
  const { name, holder, untilMs } = lease;
  for (;;) {
    const before = await connection.run(async (collections) => {
      try {
        const update = { $set: { holder, until: untilMs } };
        return await collections.lease.findOneAndUpdate({ _id: name }, update, {
          upsert: true,
          returnDocument: "before",
        });
      } catch (thrown) {
        if (faultOf(thrown).kind === "there") return undefined;
        throw thrown;
      }
    });
    if (before === undefined) continue;
    return before === null || before.holder === holder ? 0 : before.until;
  }
}

export async function releaseLease(connection: Connection, name: string, holder: string): Promise<void> {
  await connection.run(({ lease }) => lease.deleteOne({ _id: name, holder }));
}
