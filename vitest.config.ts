import { defineConfig } from "vitest/config";

/** These start whole systems and load both cores: one at a time, after all else. */
const systems = ["test/fault/**/*.test.ts", "test/flow/**/*.test.ts", "test/commands/roles.test.ts"];
const timeouts = { testTimeout: 30_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      {
        test: { name: "parts", include: ["test/**/*.test.ts"], exclude: systems, maxWorkers: 2, ...timeouts },
      },
      {
        test: {
          name: "systems",
          include: systems,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          ...timeouts,
        },
      },
    ],
  },
});
