import { expect, test } from "vitest";
import { certificate } from "./certificate.ts";
import { brokerAddress } from "../../operator/broker-address.ts";
import type { QueueScalerSpec } from "../../operator/queue-scaler.ts";

type BrokerRef = QueueScalerSpec["brokerRef"];
const secret: BrokerRef["secret"] = {
  name: "broker",
  urlKey: "url",
  managementUrlKey: "managementUrl",
  usernameKey: "username",
  passwordKey: "password",
  caKey: "ca.crt",
};
const plain: BrokerRef = { secret };

/** As the RabbitMQ cluster operator makes it, with every key that it has. */
const ofClusterOperator = {
  "default_user.conf": "default_user = default_user_x\ndefault_pass = s3cret\n",
  connection_string: "amqp://default_user_x:s3cret@rabbit.shop.svc:5672/",
  host: "rabbit.shop.svc",
  port: "5672",
  provider: "rabbitmq",
  type: "rabbitmq",
  username: "default_user_x",
  password: "s3cret",
};

test.for([
  [
    "an amqp URL: beside it, on the plain port",
    plain,
    { url: "amqp://ann:pw@mq.shop:5673/orders" },
    "http://mq.shop:15672/ ann pw",
  ],
  [
    "an amqps URL: beside it, on the TLS port",
    plain,
    { url: "amqps://ann:pw@mq.shop" },
    "https://mq.shop:15671/ ann pw",
  ],
  ["an amqp URL of an IPv6 host", plain, { url: "amqp://ann:pw@[::1]:5672" }, "http://[::1]:15672/ ann pw"],
  [
    "percent-encoded user and password",
    plain,
    { url: "amqp://a%40b:p%2Fw%25@mq" },
    "http://mq:15672/ a@b p/w%",
  ],
  ["a lone percent sign in a password", plain, { url: "amqp://ann:100%@mq" }, "http://mq:15672/ ann 100%"],
  [
    "a management URL before the amqp URL",
    plain,
    { url: "amqp://ann:pw@mq", managementUrl: "https://ui.shop/mq" },
    "https://ui.shop/mq/ ann pw",
  ],
  [
    "credentials of the management URL before those of the amqp URL",
    plain,
    { url: "amqp://ann:pw@mq", managementUrl: "http://bob:no@ui:1234" },
    "http://ui:1234/ bob no",
  ],
  [
    "the keys of user and password before every URL",
    plain,
    { url: "amqp://ann:pw@mq", managementUrl: "http://bob:no@ui", username: "eve", password: "yes" },
    "http://ui/ eve yes",
  ],
  [
    "the spec's address before the Secret's",
    { url: "http://given:1", secret },
    { url: "amqp://ann:pw@mq", managementUrl: "http://ui" },
    "http://given:1/ ann pw",
  ],
  [
    "the user in the spec's address, and a password from its key",
    { url: "http://ann@given", secret },
    { password: "pw" },
    "http://given/ ann pw",
  ],
  [
    "other keys, where the spec names them",
    { secret: { ...secret, urlKey: "AMQP_URL" } },
    { AMQP_URL: "amqp://ann:pw@mq", url: "not one" },
    "http://mq:15672/ ann pw",
  ],
  [
    "a Secret of the cluster operator, by its connection string",
    { secret: { ...secret, urlKey: "connection_string" } },
    ofClusterOperator,
    "http://rabbit.shop.svc:15672/ default_user_x s3cret",
  ],
  [
    "a Secret of the cluster operator, by an address",
    { url: "https://rabbit.shop:15671/", secret },
    ofClusterOperator,
    "https://rabbit.shop:15671/ default_user_x s3cret",
  ],
  [
    "values with a line end behind them",
    plain,
    { url: "amqp://mq\n", username: "ann\n", password: "p w \r\n" },
    "http://mq:15672/ ann p w ",
  ],
  [
    "an unreadable amqp URL that nothing is taken from",
    { url: "http://given", secret },
    { url: "rubbish", username: "ann", password: "pw" },
    "http://given/ ann pw",
  ],
] as const)("the address comes from %s", ([, ref, data, expected]) => {
  const found = brokerAddress(ref, data);
  expect(typeof found === "string" ? found : `${found.url} ${found.username} ${found.password}`).toBe(
    expected,
  );
});

const form = "amqp://user:password@host or amqps://user:password@host";
const encoding = "; characters such as / and @ in user or password must be percent-encoded";
const nothing = `Secret broker has no key url (${form}) and no key managementUrl (http:// or https://), and brokerRef.url is not set`;
test.for([
  ["is empty", plain, {}, nothing],
  ["has an empty URL", plain, { url: "\n" }, nothing],
  [
    "is the cluster operator's, and none of it is named",
    plain,
    ofClusterOperator,
    `${nothing}; it has connection_string, which secret.urlKey may name`,
  ],
  [
    "has a URL of another kind",
    plain,
    { url: "http://ann:s3cret@mq" },
    `key url of Secret broker must be a URL such as ${form}${encoding}`,
  ],
  [
    "has a slash in a password",
    plain,
    { url: "amqp://ann:s3/cret@mq" },
    `key url of Secret broker must be a URL such as ${form}${encoding}`,
  ],
  [
    "has a URL without a host",
    plain,
    { url: "amqp:///orders" },
    `key url of Secret broker must be a URL such as ${form}${encoding}`,
  ],
  [
    "has an amqp URL for the management",
    plain,
    { managementUrl: "amqp://ann:s3cret@mq" },
    `key managementUrl of Secret broker must be a URL that begins with http:// or https://${encoding}`,
  ],
  [
    "has no user",
    plain,
    { url: "amqp://mq", password: "s3cret" },
    "Secret broker tells no user: it has no key username, and no URL has one",
  ],
  [
    "has no password",
    plain,
    { url: "amqp://ann@mq" },
    "Secret broker tells no password: it has no key password, and no URL has one",
  ],
  [
    "has a password only in a URL that cannot be read",
    { url: "http://given", secret },
    { url: "ann:s3cret", username: "ann" },
    `Secret broker tells no password: it has no key password, and its url is not a URL such as ${form}`,
  ],
  [
    "has no certificate in ca.crt",
    plain,
    { url: "amqps://ann:s3cret@mq", "ca.crt": "s3cret" },
    "key ca.crt of Secret broker must hold certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE",
  ],
  [
    "has a broken certificate in ca.crt",
    plain,
    {
      url: "amqps://ann:s3cret@mq",
      "ca.crt": "-----BEGIN CERTIFICATE-----\ns3cret\n-----END CERTIFICATE-----",
    },
    "key ca.crt of Secret broker must hold certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE",
  ],
  [
    "has names of JavaScript's own objects for keys",
    { secret: { ...secret, urlKey: "constructor" } },
    {},
    nothing.replace("key url", "key constructor"),
  ],
] as const)(
  "a Secret that %s is answered with a sentence, without a value of it",
  ([, ref, data, expected]) => {
    expect(brokerAddress(ref, data)).toBe(expected);
    expect(expected).not.toContain("s3cret");
  },
);

test("the certificates are taken as they are", async () => {
  const { pem } = await certificate();
  const data = { url: "amqps://ann:pw@mq", "ca.crt": `${pem}${pem}` };
  expect(brokerAddress(plain, data)).toMatchObject({ ca: `${pem}${pem}`.trimEnd() });
});
