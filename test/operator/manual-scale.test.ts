import { describe, expect, test } from "vitest";
import { manualScale } from "../../operator/manual-scale.ts";

const respect = { policy: "Respect", forSeconds: 600 } as const;
const override = { policy: "Override", forSeconds: 600 } as const;
const hand = (setReplicas: number | undefined, respectedUntilMs?: number) => ({
  setReplicas,
  triedReplicas: 5,
  respectedUntilMs,
});

describe("a number of replicas", () => {
  test.for([
    ["that this scaler has set", hand(3), 3],
    ["that was there before this scaler", hand(undefined), 7],
    ["that this scaler was about to set when it ended", hand(3), 5],
  ] as const)("%s is nobody else's", ([, before, current]) => {
    expect(manualScale(respect, before, current, 1000)).toMatchObject({ noticed: false, respected: false });
  });

  test("that somebody else has set is noticed once", () => {
    const first = manualScale(override, hand(3), 8, 1000);
    expect(first).toMatchObject({ noticed: true, respected: false });
    expect(manualScale(override, first.hand, 8, 2000).noticed).toBe(false);
  });

  test("that is respected stays for the time, to the millisecond, and not longer", () => {
    const first = manualScale(respect, hand(3), 8, 1000);
    expect(first).toMatchObject({ respected: true, hand: { setReplicas: 8, respectedUntilMs: 601_000 } });
    expect(manualScale(respect, first.hand, 8, 600_999).respected).toBe(true);
    expect(manualScale(respect, first.hand, 8, 601_000)).toMatchObject({
      respected: false,
      hand: { setReplicas: 8, respectedUntilMs: undefined },
    });
  });

  test("that is set anew starts the time anew", () => {
    expect(manualScale(respect, hand(8, 601_000), 9, 500_000).hand.respectedUntilMs).toBe(1_100_000);
  });

  test("is not respected any more once the spec says to override", () => {
    expect(manualScale(override, hand(8, 601_000), 8, 2000).respected).toBe(false);
  });
});
