import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { customResourceDefinition } from "../../operator/custom-resource.ts";
import { API_VERSION, KIND } from "../../operator/queue-scaler.ts";
import type { ApiServerPart } from "../parts/api-server.ts";
import { definitions, leastSpec, scalersOf, startCluster, missing } from "./kubernetes-cluster.ts";

describe.skipIf(missing !== undefined)(
  `the definition of QueueScaler${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    let api: ApiServerPart;
    beforeAll(async () => {
      api = await startCluster();
    });
    afterAll(async () => {
      await api[Symbol.asyncDispose]();
    });

    /** What the API server makes of a spec, without keeping it. */
    const tried = (spec: object, query = "") =>
      api.send({
        method: "POST",
        path: `${scalersOf("default")}?dryRun=All${query}`,
        body: { apiVersion: API_VERSION, kind: KIND, metadata: { name: "tried" }, spec },
      });

    test("the definition of QueueScaler is accepted, and has nothing that is not structural", async () => {
      const path = `${definitions}/${customResourceDefinition.metadata.name}`;
      const { status } = await api.must({ method: "GET", path });
      const conditions = (
        status as { readonly conditions: readonly { readonly type: string; readonly status: string }[] }
      ).conditions;
      expect(conditions.map(({ type, status: is }) => `${type} ${is}`).toSorted()).toEqual([
        "Established True",
        "NamesAccepted True",
      ]);
    });

    test("it can be applied again as it is, which changes nothing", async () => {
      const path = `${definitions}/${customResourceDefinition.metadata.name}?fieldManager=test&force=true`;
      const apply = () =>
        api.must({
          method: "PATCH",
          path,
          contentType: "application/apply-patch+yaml",
          body: customResourceDefinition,
        });
      const once = await apply();
      const again = await apply();
      const versionOf = ({ metadata }: typeof once) =>
        (metadata as { readonly resourceVersion: string }).resourceVersion;
      expect(versionOf(again)).toBe(versionOf(once));
    });

    test("what is left out is filled in", async () => {
      const { status, body } = await tried(leastSpec);
      expect([status, body["spec"]]).toEqual([
        201,
        {
          scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "worker" },
          queue: { name: "orders", vhost: "/" },
          brokerRef: {
            secret: {
              name: "broker",
              urlKey: "url",
              managementUrlKey: "managementUrl",
              usernameKey: "username",
              passwordKey: "password",
              caKey: "ca.crt",
            },
          },
          replicas: { min: 1, max: 10 },
          objective: { maxWaitSeconds: 30 },
          behavior: { zeroAfterSeconds: 60 },
          manualScale: { policy: "Override", forSeconds: 600 },
          hints: { startupSeconds: 10 },
          pollingIntervalSeconds: 2,
          paused: false,
          mode: "Act",
        },
      ]);
    });

    test("what is left out of a limit and of a fallback is filled in", async () => {
      const { body } = await tried({
        ...leastSpec,
        behavior: { scaleUp: { replicas: 4 }, scaleDown: { replicas: 1 } },
        fallback: { replicas: 3 },
      });
      expect(body["spec"]).toMatchObject({
        behavior: {
          scaleUp: { replicas: 4, periodSeconds: 60 },
          scaleDown: { replicas: 1, periodSeconds: 60 },
          zeroAfterSeconds: 60,
        },
        fallback: { replicas: 3, afterSeconds: 60 },
      });
    });

    describe("a spec is refused", () => {
      test.for([
        ["without a queue", { queue: undefined }, "spec.queue: Required value"],
        ["without a target", { scaleTargetRef: {} }, "spec.scaleTargetRef.name: Required value"],
        ["without a Secret", { brokerRef: {} }, "spec.brokerRef.secret: Required value"],
        ["without a maximum", { replicas: {} }, "spec.replicas.max: Required value"],
        [
          "whose min is greater than its max",
          { replicas: { min: 6, max: 5 } },
          'spec.replicas.min: Invalid value: "object": min must not be greater than max',
        ],
        ["whose default min is greater than its max", { replicas: { max: 0 } }, "spec.replicas.max"],
        ["with fewer than no replicas", { replicas: { min: -1, max: 5 } }, "spec.replicas.min"],
        [
          "whose fallback is greater than its max",
          { fallback: { replicas: 11 } },
          'spec.fallback.replicas: Invalid value: "object": fallback.replicas must not be greater than replicas.max',
        ],
        ["with another mode", { mode: "Guess" }, 'supported values: "Act", "Observe"'],
        [
          "with another policy",
          { manualScale: { policy: "Ask" } },
          'supported values: "Override", "Respect"',
        ],
        [
          "with a password in the URL",
          { brokerRef: { url: "http://ann:secret@rabbitmq:15672", secret: { name: "broker" } } },
          "spec.brokerRef.url",
        ],
        [
          "with a URL of another protocol",
          { brokerRef: { url: "amqp://rabbitmq", secret: { name: "broker" } } },
          "spec.brokerRef.url",
        ],
        ["with a queue without a name", { queue: { name: "" } }, "spec.queue.name"],
        [
          "with a kind in small letters",
          { scaleTargetRef: { kind: "deployment", name: "w" } },
          "spec.scaleTargetRef.kind",
        ],
        [
          "with a name that no object can have",
          { scaleTargetRef: { name: "My_Worker" } },
          "spec.scaleTargetRef.name",
        ],
        ["with a time of 0 seconds", { pollingIntervalSeconds: 0 }, "greater than or equal to 1"],
        ["with a fraction of a second", { pollingIntervalSeconds: 0.5 }, "spec.pollingIntervalSeconds"],
        ["with a number as text", { objective: { maxWaitSeconds: "30" } }, "spec.objective.maxWaitSeconds"],
      ] as const)("%s", async ([, change, sentence]) => {
        const { status, body } = await tried({ ...leastSpec, ...change });
        expect(status).toBe(422);
        expect(body["message"]).toContain(sentence);
      });

      test("with a field that is not known, where the client asks for that as kubectl does", async () => {
        const { status, body } = await tried({ ...leastSpec, replica: 3 }, "&fieldValidation=Strict");
        expect([status, body["message"]]).toEqual([
          400,
          expect.stringContaining('unknown field "spec.replica"'),
        ]);
      });
    });

    test("a field that is not known is left out otherwise", async () => {
      const { status, body } = await tried({ ...leastSpec, replica: 3 }, "&fieldValidation=Ignore");
      expect(status).toBe(201);
      expect(body["spec"]).not.toHaveProperty("replica");
    });

    test.for(["http://rabbitmq:15672", "https://ann@rabbitmq.shop.svc/management/"])(
      "the URL %s is taken",
      async (url) => {
        const { status } = await tried({ ...leastSpec, brokerRef: { url, secret: { name: "broker" } } });
        expect(status).toBe(201);
      },
    );

    test("the columns are those that matter at a glance, and the rest is wide", async () => {
      const columns = customResourceDefinition.spec.versions[0]?.additionalPrinterColumns ?? [];
      const named = (wide: boolean) =>
        columns.filter(({ priority }) => (priority === 1) === wide).map(({ name }) => name);
      expect(named(false)).toEqual(["Queue", "Ready", "Backlog", "Desired", "Current", "Reason", "Age"]);
      expect(named(true)).toEqual(["Target", "Min", "Max", "Wait"]);
    });

    test("scalers are found by a short name and a category", async () => {
      const { resources } = await api.must({ method: "GET", path: `/apis/${API_VERSION}` });
      expect(resources).toContainEqual(
        expect.objectContaining({ name: "queuescalers", shortNames: ["qs"], categories: ["millrace"] }),
      );
    });
  },
);
