import type { LoadOptions } from "./load.ts";

/** The loads that the standalone and the real bench have in common. */
export interface Posts {
  readonly name: string;
  readonly unit: "requests/s" | "events/s";
  readonly loadOf: (baseUrl: string, seconds: number) => LoadOptions;
}

const SINGLE_CONNECTIONS = 100;
export const BATCH_CONNECTIONS = 16;
export const WARM_UP_SECONDS = 3;

export const singles: Posts = {
  name: `POST /event, ${SINGLE_CONNECTIONS} connections`,
  unit: "requests/s",
  loadOf: (baseUrl, seconds) => ({
    kind: "single",
    url: `${baseUrl}/event`,
    connections: SINGLE_CONNECTIONS,
    seconds,
  }),
};

export function batchesOf(batch: number): Posts {
  return {
    name: `POST /events of ${batch}, ${BATCH_CONNECTIONS} connections`,
    unit: "events/s",
    loadOf: (baseUrl, seconds) => ({
      kind: "batch",
      url: `${baseUrl}/events`,
      connections: BATCH_CONNECTIONS,
      batch,
      until: { seconds },
    }),
  };
}
