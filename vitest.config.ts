import { defineConfig } from "vitest/config";

/** These run against real servers, which the set-up of this project alone obtains and starts. */
const real = [
  "test/real/**/*.test.ts",
  "test/monitoring/promtool.test.ts",
  "test/contract/real.test.ts",
  "test/adapters/{rabbitmq,mongodb}*.test.ts",
];
/** These start whole systems and load both cores: one at a time, after all else. */
const systems = [
  "test/fault/**/*.test.ts",
  "test/flow/**/*.test.ts",
  "test/console/page*.test.ts",
  "test/commands/roles.test.ts",
  "test/security/**/*.test.ts",
  "test/fuzz/api.test.ts",
  "test/load/{run,page}.test.ts",
];
/** These render the chart, with programs that are obtained first. */
const chart = ["test/chart/**/*.test.ts"];
/** A whole Kubernetes, which the tests make and remove: after all else. */
const cluster = ["test/cluster/**/*.test.ts"];
const timeouts = { testTimeout: 30_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "parts",
          include: ["test/**/*.test.ts"],
          exclude: [...systems, ...real, ...chart, ...cluster],
          maxWorkers: 2,
          ...timeouts,
        },
      },
      {
        test: {
          name: "real",
          include: real,
          globalSetup: "test/parts/setup.ts",
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "systems",
          include: systems,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          ...timeouts,
        },
      },
      {
        test: {
          name: "chart",
          include: chart,
          globalSetup: "test/chart/setup.ts",
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
          ...timeouts,
        },
      },
      {
        test: {
          name: "cluster",
          include: cluster,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
