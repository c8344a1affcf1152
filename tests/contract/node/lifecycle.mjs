// Makes calls with the vendor's generic npm client: one JSON line in, one JSON line out.
// The first line is the client's configuration, every further one a call; the end of input ends it.
import { createInterface } from "node:readline";
import openapi from "@alicloud/openapi-client";
import util from "@alicloud/tea-util";

const Client = openapi.default;
const lines = createInterface({ input: process.stdin });
let eas = null;

for await (const line of lines) {
  const asked = JSON.parse(line);
  if (eas === null) {
    eas = new Client(new openapi.Config(asked));
    process.stdout.write("{}\n"); // from here on a call takes no longer than itself
  } else process.stdout.write(`${JSON.stringify(await call(asked))}\n`);
}

async function call({ action, method, pathname, query, body }) {
  const params = new openapi.Params({
    action, method, pathname,
    version: "2021-07-01", protocol: "HTTP", authType: "AK", style: "ROA", reqBodyType: "json", bodyType: "json",
  });
  const request = new openapi.OpenApiRequest(body === null ? { query } : { query, body });
  try {
    const { statusCode, body: answer } = await eas.callApi(params, request, new util.RuntimeOptions({}));
    return { statusCode, body: answer };
  } catch (error) {
    const { code, statusCode, data, message } = error;
    return { error: { isError: error instanceof Error, code, statusCode: statusCode ?? data?.statusCode, message } };
  }
}
