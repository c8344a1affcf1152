/** What the catalogs say of an operation. */

import type { CatalogOperation } from "@/api/types";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The parameters of a call by their names: path, query and body together. */
export type Values = Record<string, Json>;

export interface Parameter {
  /** "" of the items of a list and of the values of a map. */
  Name: string;
  Type: "string" | "integer" | "number" | "boolean" | "object" | "array" | "map" | "any";
  Place: "path" | "query" | "body" | "header";
  Required: boolean;
  /** Legal ones; known ones only if `Open`. */
  Values: string[];
  Open: boolean;
  Default: Json;
  Minimum: number | null;
  Maximum: number | null;
  /** Characters; 0 = no limit of its own. */
  Longest: number;
  Unit: string;
  Example: Json;
  Deprecated: boolean;
  /** Why nothing follows from it; "" = it has an effect. */
  Effectless: string;
  Since: string;
  /** Of a structure in a query: `json` or `comma`. */
  Serialization: string;
  TypeText: string;
  Description: string;
  Fields: Parameter[];
  Items: Parameter | null;
}

export interface Operation {
  Product: string;
  Version: string;
  Id: string;
  Style: CatalogOperation["Style"];
  Method: string;
  Path: string;
  Group: string;
  GroupTitle: string;
  Title: string;
  Description: string;
  Authorization: { Action: string; Access: string; Resource: string; Conditions: string[]; Basis: string };
  /** The body is a document of its own, which may hold more than is described. */
  Document: boolean;
  /** The key of a ZStack body that holds the parameters. */
  Wrapper: string;
  /** Why this platform does not do it; "" = it does. */
  Unsupported: string;
  Deprecated: boolean;
  Since: string;
  Synchronous: boolean;
  Writes: boolean;
  Example: Values;
  Answer: Values;
  Parameters: Parameter[];
  Response: Parameter[];
  ErrorCodes: { Code: string; Status: number; Message: string }[];
  Changes: { Version: string; Kind: string; Text: string }[];
}

export interface Listed extends CatalogOperation {
  GroupTitle?: string;
}

export interface Product {
  Product: string;
  Version: string;
  Title: string;
  Operations: Listed[];
}
