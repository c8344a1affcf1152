/** Calls as code, written by the platform. */

import { useQuery } from "@tanstack/react-query";
import { ApiError } from "./error";
import { read, send, useSession } from "./session";

export interface SampleCall {
  product: string;
  version: string;
  operation: string;
  params: object;
}

interface Made {
  code: number;
  message: string;
  data: { demoSdk: Record<string, string> } | null;
}

/** Code of a call in one language, or with "" in all of them. Throws ApiError. */
export async function makeCode(call: SampleCall, region: string, language: string, signal: AbortSignal): Promise<Record<string, string>> {
  const params = JSON.stringify(call.params);
  const asked = { callType: "typed", product: call.product, apiVersion: call.version, apiName: call.operation, regionId: region, language, params };
  const headers = { "content-type": "application/json" };
  const response = await send("/api/product/makeCode", { method: "POST", headers, body: JSON.stringify(asked), signal });
  const made = (await read(response)) as Made | null;
  if (response.ok && made?.data) return made.data.demoSdk;
  throw new ApiError({ status: response.status, code: "NoSample", message: made?.message ?? response.statusText });
}

/** The code of a call; `wanted` false = not yet. */
export function useSample(call: SampleCall, language: string, wanted = true) {
  const { Region } = useSession();
  return useQuery({
    queryKey: ["sample", call.product, call.operation, language, JSON.stringify(call.params)],
    queryFn: async ({ signal }) => (await makeCode(call, Region, language, signal))[language] ?? "",
    enabled: wanted,
    staleTime: 300_000,
  });
}
