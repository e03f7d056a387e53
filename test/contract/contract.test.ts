import { brokerContract } from "./broker.ts";
import { embeddedBroker, embeddedStore } from "./embedded.ts";
import { storeContract } from "./store.ts";

// A further adapter is one line here.
brokerContract("the embedded broker", () => embeddedBroker());
storeContract("the embedded store", embeddedStore);
