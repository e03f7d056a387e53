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

export async function releaseLease(connection: Connection, name: string, holder: string): Promise<void> {
  await connection.run(({ lease }) => lease.deleteOne({ _id: name, holder }));
}
