// Renders /openapi.json: the operations by tag, with what they take and answer. No dependency, nothing from another host.
"use strict";

const element = (name, text, ...children) => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
};

const nameOf = (schema) => schema?.$ref?.split("/").pop();

function example(schema, document_, depth = 0) {
  if (!schema || depth > 8) return null;
  if (schema.$ref) return example(document_.components.schemas[nameOf(schema)], document_, depth + 1);
  if (schema.anyOf) return example(schema.anyOf[0], document_, depth + 1);
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return [example(schema.items, document_, depth + 1)];
  if (schema.properties) {
    const fields = Object.entries(schema.properties);
    return Object.fromEntries(fields.map(([name, of]) => [name + ((schema.required ?? []).includes(name) ? "" : "?"), example(of, document_, depth + 1)]));
  }
  return schema.type ?? "any";
}

const shape = (content, document_) => {
  const schema = Object.values(content ?? {})[0]?.schema;
  return schema ? element("pre", JSON.stringify(example(schema, document_), null, 2)) : "";
};

function answers(operation, document_) {
  const rows = Object.entries(operation.responses).map(([status, answer]) => {
    const body = answer["x-codes"] ? "" : shape(answer.content, document_);
    return element("tr", "", element("th", status), element("td", answer.description, body));
  });
  return element("table", "", ...rows);
}

function described(method, path, operation, document_) {
  const head = element("summary", "", element("span", method.toUpperCase()), element("code", path), ` ${operation.operationId ?? ""}`);
  head.firstChild.className = "method";
  const tokens = (operation.security ?? []).map((one) => Object.keys(one)[0]).join(" or ");
  const parts = [head, element("p", operation.description), element("p", tokens ? `Token: ${tokens}` : "No token.")];
  if (operation.requestBody) parts.push(element("h4", "Body"), shape(operation.requestBody.content, document_));
  return element("details", "", ...parts, element("h4", "Answers"), answers(operation, document_));
}

async function show() {
  const document_ = await (await fetch("/openapi.json")).json();
  const page = document.getElementById("page");
  document.getElementById("state").textContent = document_.info.description;
  const groups = new Map();
  for (const [path, methods] of Object.entries(document_.paths))
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(described(method, path, operation, document_));
    }
  for (const [tag, operations] of groups) page.append(element("h2", tag), ...operations);
}

show().catch((error) => { document.getElementById("state").textContent = `The description cannot be read: ${error.message}`; });
