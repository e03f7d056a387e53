import { inject } from "vitest";
import { brokerContract } from "./broker.ts";
import { mongodbStore } from "./mongodb.ts";
import { rabbitmqBroker } from "./rabbitmq.ts";
import { storeContract } from "./store.ts";

const broker = inject("broker");
const store = inject("store");

brokerContract(broker?.version ?? "RabbitMQ", broker && (() => rabbitmqBroker(broker)));
storeContract(store?.version ?? "MongoDB", store && mongodbStore(store.url));
