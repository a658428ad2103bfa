// What a front end does with the types that openapi-typescript makes of the OpenAPI spec. It has to
// compile, and each line marked with @ts-expect-error has to be an error.
import type { components, operations } from "./schema";

type Schemas = components["schemas"];
type Payload<E extends Schemas["QaEvent"]> = E extends Schemas["CompletionEvent"]
  ? Schemas["CompletionData"]
  : never;

export function show(event: Schemas["QaEvent"]): string {
  switch (event.event) {
    case "completion":
      return (JSON.parse(event.data) as Payload<typeof event>).token;
    case "source_documents":
      return (JSON.parse(event.data) as Schemas["SourceDocumentsData"]).source_documents
        .map((document) => document.page_content)
        .join();
    case "error":
      return (JSON.parse(event.data) as Schemas["ErrorData"]).detail;
    case "retract":
    case "end":
      return event.data;
    // @ts-expect-error there is no such event
    case "finish":
      return "";
    default:
      return event satisfies never;
  }
}

export const inputs: Schemas["QaInput"] = { query: "What is a token?" };
// @ts-expect-error there is no such input
export const wrong: Schemas["QaInput"] = { question: "What is a token?" };

export type Answer =
  operations["post_qa"]["responses"][200]["content"]["application/json"]["output"];
export const answer: Answer = "a text";
